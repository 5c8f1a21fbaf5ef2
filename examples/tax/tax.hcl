function "tax" {
  description = "Rate of tax on a kind of goods in a region"
  target      = "@tax//:tax"
  runtime     = "wasm"

  resources {
    cpu         = 100
    memory      = "128MiB"
    concurrency = 16
  }

  scaling {
    min                = 1
    max                = 4
    target_concurrency = 8
  }

  call {
    timeout     = "1s"
    idempotent  = true
    max_request = "64KiB"
  }
}
