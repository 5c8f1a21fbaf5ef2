//go:build integration

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"countersign/tools/cluster"
)

// The cluster of this test run, and the commands under test.
var (
	env      *cluster.Env
	checkout string // root of the checkout
	scratch  string // directory of this run
	cli      string // the countersign command
)

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

// runAll brings the cluster up, runs the tests, and takes everything away again, also on Ctrl-C.
func runAll(m *testing.M) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail := func(what string, err error) int {
		fmt.Fprintf(os.Stderr, "e2e: %s: %v\n", what, err)
		return 1
	}
	var err error
	if checkout, err = filepath.Abs("../.."); err != nil {
		return fail("finding the checkout", err)
	}
	if scratch, err = os.MkdirTemp("", "countersign-e2e-"); err != nil {
		return fail("making a directory", err)
	}
	defer os.RemoveAll(scratch)
	cli = filepath.Join(scratch, "countersign")
	driver := filepath.Join(scratch, "nomad-driver-countersign")
	for out, pkg := range map[string]string{cli: "./cmd/countersign", driver: "./cmd/nomad-driver-countersign"} {
		if err := goBuild(ctx, checkout, out, pkg); err != nil {
			return fail("building", err)
		}
	}
	dir := filepath.Join(scratch, "cluster")
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := cluster.Down(ctx, cluster.DownOptions{Dir: dir, Purge: true, Progress: os.Stderr}); err != nil {
			code = fail("stopping the cluster", err)
		}
	}()
	env, err = cluster.Up(ctx, cluster.Options{Dir: dir, DriverBinary: driver, CLI: cli, Progress: os.Stderr})
	if err != nil {
		return fail("starting the cluster", err)
	}
	// On Ctrl-C go test ends without running what is deferred.
	interrupted := context.AfterFunc(ctx, func() {
		if err := cluster.Down(context.Background(), cluster.DownOptions{Dir: dir, Purge: true}); err != nil {
			fail("stopping the cluster", err)
		}
		os.RemoveAll(scratch)
		os.Exit(130)
	})
	defer interrupted()
	return m.Run()
}

// goBuild builds package pkg of the module in dir.
func goBuild(ctx context.Context, dir, out, pkg string, vars ...string) error {
	args := []string{"build", "-trimpath", "-o", out}
	if len(vars) > 0 {
		args = append(args, "-buildmode=c-shared", "-ldflags=-s -w")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), vars...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return nil
}
