// Command nomad-driver-countersign is the Nomad task driver plugin and, as `nomad-driver-countersign host`, the host
// process that the plugin starts, and the shim through which a host starts a native function. None of them is started
// by hand: see docs/driver.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"countersign/driver"
	"countersign/host"
	"countersign/host/native"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == native.ShimCommand {
		os.Exit(native.Shim(os.Args[2:]))
	}
	if len(os.Args) == 2 && os.Args[1] == "host" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(host.Main(ctx, os.Stdin))
	}
	driver.Serve()
}
