function "chaos" {
  description = "Misbehaves on request, for the end-to-end tests"

  resources {
    cpu         = 100
    memory      = "96MiB"
    concurrency = 2
  }

  call {
    timeout      = "2s"
    max_request  = "4KiB"
    max_response = "64KiB"
  }

  ingress {
    http = true
    auth = "signed"
  }
}
