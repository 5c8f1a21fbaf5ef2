function "fx" {
  description = "Converts an amount of money between currencies"
  target      = "@fx//:fx"
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
