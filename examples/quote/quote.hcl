function "quote" {
  description = "Price of a basket, taxes included"
  target      = "@quote//:quote"
  runtime     = "wasm"

  calls = ["tax", "fx"]

  resources {
    cpu         = 200
    memory      = "128MiB"
    concurrency = 16
  }

  scaling {
    min                = 1
    max                = 8
    target_concurrency = 8
  }

  call {
    timeout     = "2s"
    idempotent  = true
    max_request = "1MiB"
  }

  ingress {
    http = true
    auth = "signed"
  }
}
