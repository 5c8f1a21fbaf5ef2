// Command install makes sure that the servers of a local cluster can be run on this machine, and prints where they are.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"countersign/cluster/servers"
	"countersign/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	all, err := servers.EnsureAll(ctx, terminal.NewLog(os.Stderr))
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "install: %v\n", err)
		os.Exit(1)
	}
	for _, r := range servers.All() {
		fmt.Printf("%-9s %-10s %s\n", r.Name, all[r.Name].Version, all[r.Name].Path)
	}
}
