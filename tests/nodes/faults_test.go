//go:build integration

package nodes

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/cluster"
	"countersign/tests/harness"
)

// faultTime is how long the load of each fault runs: short in tests, a minute for the figures of docs/faults.md.
func faultTime(t *testing.T) time.Duration {
	seconds := os.Getenv("COUNTERSIGN_FAULT_SECONDS")
	if seconds == "" {
		return 12 * time.Second
	}
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 6 {
		t.Fatalf("COUNTERSIGN_FAULT_SECONDS=%q: want a number of seconds from 6", seconds)
	}
	return time.Duration(n) * time.Second
}

// TestSilence makes a node silent whose instances of tax are being called from another: every process of it is stopped,
// or the network between the two is cut. Calls that are on their way wait until their deadline; after that, callers go
// elsewhere.
func TestSilence(t *testing.T) {
	deployed(t)
	defer pinned(t)()
	place(t, "tax", 2, 3)
	for _, fault := range []struct {
		name     string
		do, undo func(t *testing.T)
	}{
		{"SIGSTOP of a node", pausing(2), resuming(2)},
		{"the network between two nodes is cut", cutting(1, 2), healing},
	} {
		t.Run(fault.name, func(t *testing.T) {
			load := startLoad(t, 1)
			load.warm(t)
			callsReach(t, 1, "tax", 2)
			quarter := faultTime(t) / 4
			time.Sleep(quarter)
			broken := time.Now()
			fault.do(t)
			time.Sleep(2 * quarter)
			fault.undo(t)
			time.Sleep(quarter)
			load.end()
			t.Logf("%s: %s", fault.name, load.report(broken))
			// A silent connection is given up after 3 s, and the endpoint ejected for 5 s, longer each time.
			const within = 10 * time.Second
			if took := load.last.Sub(broken); load.lost() > 0 || load.late() || load.failures() > 0 && took > within {
				t.Errorf("%d calls were lost, %d failed in all, until %s after the node went silent; want that they go elsewhere within %s: %s",
					load.lost(), load.failures(), took, within, load.example)
			}
			settled(t)
		})
	}
}

// TestFaults breaks one part after the other while 200 calls a second run, with instances of all functions on all nodes.
// The functions are idempotent and have time left: none of them may be lost.
func TestFaults(t *testing.T) {
	deployed(t)
	defer pinned(t)()
	for _, fault := range []struct {
		name     string
		do, undo func(t *testing.T)
	}{
		{"kill -9 of a host", killing(2, cluster.Host), waiting},
		{"kill -9 of a Nomad client", killing(2, cluster.Nomad), restarting(2, cluster.Nomad)},
		{"kill -9 of a node's Consul agent", killing(2, cluster.Consul), restarting(2, cluster.Consul)},
		{"kill -9 of the Consul server", killing(0, cluster.Consul), restarting(0, cluster.Consul)},
		{"kill -9 of Vault", killing(0, cluster.Vault), restarting(0, cluster.Vault)},
	} {
		t.Run(fault.name, func(t *testing.T) {
			load := startLoad(t, 1, 2, 3)
			load.warm(t)
			quarter := faultTime(t) / 4
			time.Sleep(quarter)
			broken := time.Now()
			fault.do(t)
			time.Sleep(2 * quarter)
			fault.undo(t)
			time.Sleep(quarter)
			load.end()
			t.Logf("%s: %s", fault.name, load.report(broken))
			if n := load.lost(); n > 0 || load.late() {
				t.Errorf("%d calls were lost, %d failed in all, such as: %s", n, load.failures(), load.example)
			}
			settled(t)
		})
	}
}

// pinned keeps one instance of each function on each node, also when Nomad has to start one again, until the returned
// function is called.
func pinned(t *testing.T) func() {
	t.Helper()
	functions := []string{"quote", "tax", "fx"}
	for _, function := range functions {
		place(t, function, 1, 2, 3)
	}
	return func() { h.DeployEdited(t, everywhere, functions) }
}

// callsReach waits until calls that a node's quote makes of a function reach the instance on another node: after an
// earlier fault that may be ejected for a while.
func callsReach(t *testing.T, from int, function string, to int) {
	t.Helper()
	want := ""
	for _, i := range instances(t, function) {
		if i.node == to {
			want = i.allocation
		}
	}
	c := newClient(t, "tester", hostOf(t, from))
	harness.Eventually(t, function+" is called on that node", 90*time.Second, func() bool {
		answer, err := c.Call(t.Context(), "quote", []byte(basket))
		return err == nil && slices.ContainsFunc(answer.Hops, func(h countersign.Hop) bool { return h.Allocation == want })
	})
}

func killing(node int, kind cluster.Kind) func(*testing.T) {
	return func(t *testing.T) {
		if err := env.Kill(t.Context(), cluster.Component{Node: node, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
}

func restarting(node int, kind cluster.Kind) func(*testing.T) {
	return func(t *testing.T) {
		if err := env.Restart(t.Context(), cluster.Component{Node: node, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
}

func waiting(*testing.T) {}

func pausing(node int) func(*testing.T) {
	return func(t *testing.T) {
		if err := env.PauseNode(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
}

func resuming(node int) func(*testing.T) {
	return func(t *testing.T) {
		if err := env.ResumeNode(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
}

func cutting(a, b int) func(*testing.T) {
	return func(t *testing.T) {
		if _, err := env.Cut(t.Context(), a, b); err != nil {
			t.Fatal(err)
		}
	}
}

func healing(t *testing.T) {
	if err := env.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// settled waits until everything runs again on every node, so that one fault does not show in the next.
func settled(t *testing.T) {
	t.Helper()
	harness.Eventually(t, "every node runs every function again", 2*time.Minute, func() bool {
		for _, function := range []string{"quote", "tax", "fx"} {
			if function == "tax" && strings.HasPrefix(t.Name(), "TestSilence") {
				continue
			}
			nodes := map[int]bool{}
			for _, i := range instances(t, function) {
				nodes[i.node] = true
			}
			if len(nodes) != len(env.Nodes) {
				return false
			}
		}
		return true
	})
}
