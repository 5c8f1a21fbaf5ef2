function "thumbnail" {
  description = "Makes a picture smaller"
  target      = "@thumbnail//:thumbnail"
  runtime     = "wasm"

  resources {
    cpu         = 1000
    memory      = "512MiB"
    concurrency = 2
  }

  scaling {
    min                = 1
    max                = 4
    target_concurrency = 1
  }

  call {
    timeout      = "10s"
    idempotent   = true
    max_request  = "6MiB"
    max_response = "8MiB"
  }

  ingress {
    http = true
    auth = "signed"
  }
}
