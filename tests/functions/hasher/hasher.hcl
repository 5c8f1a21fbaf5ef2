function "hasher" {
  description = "A native function, for the end-to-end tests"
  runtime     = "native"

  resources {
    cpu         = 100
    memory      = "128MiB"
    concurrency = 4
  }

  call {
    timeout = "2s"
  }

  ingress {
    http = true
    auth = "signed"
  }
}
