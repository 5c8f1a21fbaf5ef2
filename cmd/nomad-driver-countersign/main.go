// Command nomad-driver-countersign is the Nomad task driver plugin and, as `nomad-driver-countersign host`, the host
// process that the plugin starts, the shim through which a host starts a native function, and the process in which a host
// has a WebAssembly module compiled. None of them is started by hand: see docs/driver.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"countersign/driver"
	"countersign/host"
	"countersign/host/native"
	"countersign/host/wasm"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == native.ShimCommand {
		os.Exit(native.Shim(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == wasm.CompileCommand {
		os.Exit(wasm.Compile(os.Args[2:], os.Stdin))
	}
	if len(os.Args) == 2 && os.Args[1] == "host" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(host.Main(ctx, os.Stdin))
	}
	driver.Serve()
}
