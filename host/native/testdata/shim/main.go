// Command shim is the shim for tests: their own executable may be built with the race detector, which can't run within
// the limits of a function.
package main

import (
	"os"

	"countersign/host/native"
)

func main() { os.Exit(native.Shim(os.Args[2:])) }
