//go:build integration

package nodes

import (
	"os"
	"testing"

	"countersign/cluster"
	"countersign/tests/harness"
)

// The cluster of this test run, with three nodes, and what runs on it.
var (
	h   *harness.Run
	env *cluster.Env
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, "nodes", cluster.Options{Nodes: 3}, func(r *harness.Run) { h, env = r, r.Env }))
}
