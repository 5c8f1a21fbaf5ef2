function "fetcher" {
  description = "Uses its network tags on request, for the end-to-end tests"

  io {
    network "web" {}
    network "secure" {}
    network "silent" {}
    network "service" {}
    network "socket" {}
    network "inbox" {
      listen = true
    }
    network "datagrams" {
      protocol = "udp"
    }
  }

  resources {
    cpu         = 100
    memory      = "128MiB"
    concurrency = 2
  }

  call {
    timeout = "5s"
  }

  ingress {
    http = true
    auth = "signed"
  }
}
