function "native" {
  description = "Says back what it was told"
  target      = "@countersign//tests/bazel/native"
  runtime     = "native"
}
