//go:build integration

package e2e

import (
	"os"
	"testing"

	"countersign/cluster"
	"countersign/tests/harness"
)

// The cluster of this test run, and what runs on it.
var (
	h   *harness.Run
	env *cluster.Env
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, "e2e", cluster.Options{}, func(r *harness.Run) { h, env = r, r.Env }))
}

// deploy deploys functions and fails the test if they do not become healthy. What runs already is left alone.
func deploy(t *testing.T, functions ...string) string {
	t.Helper()
	return h.Deploy(t, functions...)
}

// run runs a program with the cluster's environment and returns what it printed and its exit code.
func run(t *testing.T, stdin, program string, args ...string) (string, int) {
	t.Helper()
	return h.Exec(t, stdin, program, args...)
}

// command runs the countersign command.
func command(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	return h.Command(t, stdin, args...)
}

// examples are the functions of the demo.
func examples() []string { return harness.Examples() }
