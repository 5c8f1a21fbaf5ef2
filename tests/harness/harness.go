//go:build integration

// Package harness runs a cluster for end-to-end tests and deploys functions of this checkout to it, as a user would: with
// the built command, from a build manifest. It owns what is started for a test run and ends it, on Ctrl-C too; it must
// not know what is tested.
package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/cluster"
)

// Run is one run of a package's tests.
type Run struct {
	Env      *cluster.Env
	Checkout string // root of the checkout
	Scratch  string // directory of this run
	CLI      string // the countersign command
	Driver   string // the driver plugin

	mu   sync.Mutex
	wasm map[string]string // built modules by function
}

// Main brings a cluster up, runs the tests of m, and takes everything away again. begin gets the run before the first
// test. o needs no directory and no binaries.
func Main(m *testing.M, name string, o cluster.Options, begin func(*Run)) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail := func(what string, err error) int {
		fmt.Fprintf(os.Stderr, "%s: %s: %v\n", name, what, err)
		return 1
	}
	r := &Run{wasm: map[string]string{}}
	var err error
	if r.Checkout, err = filepath.Abs("../.."); err != nil {
		return fail("finding the checkout", err)
	}
	if r.Scratch, err = os.MkdirTemp("", "countersign-"+name+"-"); err != nil {
		return fail("making a directory", err)
	}
	defer os.RemoveAll(r.Scratch)
	if r.CLI, r.Driver, err = r.binaries(ctx); err != nil {
		return fail("building", err)
	}
	o.Dir, o.CLI, o.DriverBinary, o.Progress = filepath.Join(r.Scratch, "cluster"), r.CLI, r.Driver, os.Stderr
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := cluster.Down(ctx, cluster.DownOptions{Dir: o.Dir, Purge: true, Progress: os.Stderr}); err != nil {
			code = fail("stopping the cluster", err)
		}
	}()
	if r.Env, err = cluster.Up(ctx, o); err != nil {
		return fail("starting the cluster", err)
	}
	// On Ctrl-C go test ends without running what is deferred.
	interrupted := context.AfterFunc(ctx, func() {
		if err := cluster.Down(context.Background(), cluster.DownOptions{Dir: o.Dir, Purge: true}); err != nil {
			fail("stopping the cluster", err)
		}
		os.RemoveAll(r.Scratch)
		os.Exit(130)
	})
	defer interrupted()
	begin(r)
	return m.Run()
}

// binaries returns the command and the driver: those in the directory that COUNTERSIGN_BIN names, which tools/integration
// has built for all groups, or else new ones.
func (r *Run) binaries(ctx context.Context) (cli, driver string, err error) {
	dir := os.Getenv("COUNTERSIGN_BIN")
	built := dir != ""
	if !built {
		dir = r.Scratch
	}
	cli, driver = filepath.Join(dir, "countersign"), filepath.Join(dir, "nomad-driver-countersign")
	for out, pkg := range map[string]string{cli: "./cmd/countersign", driver: "./cmd/nomad-driver-countersign"} {
		if built {
			_, err = os.Stat(out)
		} else {
			err = r.build(ctx, r.Checkout, out, pkg)
		}
		if err != nil {
			return "", "", err
		}
	}
	return cli, driver, nil
}

// build builds package pkg of the module in dir. With vars it builds a WebAssembly reactor.
func (r *Run) build(ctx context.Context, dir, out, pkg string, vars ...string) error {
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

// Exec runs a program with the cluster's environment and returns what it printed and its exit code.
func (r *Run) Exec(t testing.TB, stdin, program string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = r.Environ()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Environ is this process's environment with the cluster's.
func (r *Run) Environ() []string {
	return append(append(os.Environ(), r.Env.Vars()...), "PATH="+r.Env.BinDir+":"+os.Getenv("PATH"))
}

// Command runs the countersign command.
func (r *Run) Command(t testing.TB, stdin string, args ...string) (string, int) {
	t.Helper()
	return r.Exec(t, stdin, r.CLI, args...)
}

// Eventually fails the test unless ok within limit.
func Eventually(t testing.TB, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %s: %s", limit, what)
}
