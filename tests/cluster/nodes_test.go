//go:build integration

package cluster

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign/cluster"
	"countersign/tests/harness"
)

// upNodes brings a cluster of three nodes up whose jobs may be any command.
func upNodes(t *testing.T, dir string) *cluster.Env {
	t.Helper()
	var progress bytes.Buffer
	start := time.Now()
	env, err := cluster.Up(t.Context(), cluster.Options{Dir: dir, Nodes: 3, NoDriver: true, RawExec: true,
		Progress: &progress})
	if err != nil {
		t.Fatalf("up: %v\n%s", err, &progress)
	}
	t.Logf("up in %v", time.Since(start).Round(10*time.Millisecond))
	return env
}

// seen is what Nomad and Consul say of the nodes, by number; that of Consul's server is 0.
type seen struct{ nomad, consul map[int]string }

// lookAtNodes asks the servers of Nomad and Consul.
func lookAtNodes(t *testing.T, env *cluster.Env) seen {
	t.Helper()
	numbers := map[string]int{"countersign-" + env.ID: 0}
	for i, node := range env.Nodes {
		numbers[node.Name] = i + 1
	}
	now := seen{map[int]string{}, map[int]string{}}
	var nodes []struct{ Name, Status string }
	must(t, http.MethodGet, env.NomadAddr+"/v1/nodes", "", nil, &nodes)
	for _, node := range nodes {
		now.nomad[numbers[node.Name]] = node.Status
	}
	var members []struct {
		Name, Addr string
		Status     int
	}
	must(t, http.MethodGet, env.ConsulAddr+"/v1/agent/members", "", nil, &members)
	for _, m := range members {
		now.consul[numbers[m.Name]] = map[int]string{1: "alive", 4: "failed"}[m.Status]
	}
	return now
}

// waitSeen waits until Nomad and Consul say something of a node, and logs how long that took.
func waitSeen(t *testing.T, env *cluster.Env, node int, nomad, consul string) {
	t.Helper()
	start := time.Now()
	for time.Since(start) < 40*time.Second {
		if now := lookAtNodes(t, env); now.nomad[node] == nomad && now.consul[node] == consul {
			t.Logf("node %d is %s and %s after %v", node, nomad, consul, time.Since(start).Round(100*time.Millisecond))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("node %d is not %s and %s: %+v", node, nomad, consul, lookAtNodes(t, env))
}

// TestNodes runs three nodes and makes each of them fail in another way.
func TestNodes(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := upNodes(t, dir)
	checkNodes(t, env)
	runJob(t, env, "quote")

	before := status(t, dir)
	if again := upNodes(t, dir); !reflect.DeepEqual(again, env) {
		t.Errorf("the second up says\n%+v, the first\n%+v", again, env)
	}
	for i, s := range status(t, dir).Servers {
		if s.PID != before.Servers[i].PID {
			t.Errorf("the second up restarted %s, which served", s.Name)
		}
	}
	for nodes, want := range map[int]string{1: "can't be made smaller", 2: "can't be made smaller", 10: "want 1 to 9"} {
		_, err := cluster.Up(t.Context(), cluster.Options{Dir: dir, Nodes: nodes, NoDriver: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("up with %d nodes: %v, want %q", nodes, err, want)
		}
	}

	killAndPause(t, env)
	cutOff(t, env)

	// What is down, paused and cut is no obstacle to going down.
	if _, err := env.Cut(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := env.KillNode(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := env.PauseNode(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	states := map[cluster.ServerState]int{}
	for _, s := range status(t, dir).Servers {
		states[s.State]++
	}
	// The server of Consul serves, if it has a leader, whoever else does.
	want := map[cluster.ServerState]int{cluster.Serving: 6, cluster.Stopped: 2, cluster.Paused: 2}
	if !maps.Equal(states, want) {
		t.Errorf("with one node killed and one paused, processes are %v, want %v", states, want)
	}
	down(t, dir, false)
	if tables, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil ||
		strings.Contains(string(tables), env.ID) {
		t.Errorf("the cut is left: %v\n%s", err, tables)
	}

	if resumed := upNodes(t, dir); !reflect.DeepEqual(resumed, env) {
		t.Errorf("after down, up says\n%+v, before\n%+v", resumed, env)
	}
	waitRunning(t, env, "quote")
	for _, kind := range []cluster.Kind{cluster.Nomad, cluster.Consul, cluster.Vault, cluster.Registry} {
		if err := env.Pause(t.Context(), cluster.Component{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	down(t, dir, true)
}

// checkNodes checks that all nodes are there, at their own addresses.
func checkNodes(t *testing.T, env *cluster.Env) {
	t.Helper()
	if len(env.Nodes) != 3 {
		t.Fatalf("nodes are %+v", env.Nodes)
	}
	addresses := map[string]bool{"127.0.0.1": true}
	for i, node := range env.Nodes {
		if addresses[node.Address] {
			t.Errorf("two have address %s", node.Address)
		}
		addresses[node.Address] = true
		var self struct {
			Config struct{ NodeName string }
			Member struct{ Addr string }
		}
		must(t, http.MethodGet, node.ConsulAddr+"/v1/agent/self", "", nil, &self)
		if self.Config.NodeName != node.Name || self.Member.Addr != node.Address {
			t.Errorf("Consul of node %d is %+v, want that of %+v", i+1, self, node)
		}
		var client struct {
			Config struct {
				Server struct{ Enabled bool }
			}
		}
		must(t, http.MethodGet, node.NomadAddr+"/v1/agent/self", "", nil, &client)
		if client.Config.Server.Enabled {
			t.Errorf("Nomad of node %d is a server", i+1)
		}
		var nodes []struct{ Name, Address string }
		must(t, http.MethodGet, env.NomadAddr+"/v1/nodes", "", nil, &nodes)
		if len(nodes) != 3 {
			t.Errorf("Nomad has nodes %+v", nodes)
		}
	}
	now := lookAtNodes(t, env)
	if want := map[int]string{0: "alive", 1: "alive", 2: "alive", 3: "alive"}; !maps.Equal(now.consul, want) {
		t.Errorf("Consul's members are %v", now.consul)
	}
	if want := map[int]string{1: "ready", 2: "ready", 3: "ready"}; !maps.Equal(now.nomad, want) {
		t.Errorf("Nomad's nodes are %v", now.nomad)
	}
}

// killAndPause kills the Nomad of one node and pauses another node, and brings both back.
func killAndPause(t *testing.T, env *cluster.Env) {
	t.Helper()
	ctx := t.Context()
	nomad := cluster.Component{Node: 1, Kind: cluster.Nomad}
	if err := env.Kill(ctx, nomad); err != nil {
		t.Fatal(err)
	}
	if err := env.Kill(ctx, nomad); !errors.As(err, new(*cluster.GoneError)) {
		t.Errorf("killing it again: %v", err)
	}
	if err := env.PauseNode(ctx, 2); err != nil {
		t.Fatal(err)
	}
	waitSeen(t, env, 2, "down", "failed")
	waitSeen(t, env, 1, "down", "alive")
	if now := lookAtNodes(t, env); now.nomad[3] != "ready" || now.consul[3] != "alive" {
		t.Errorf("the other node is %+v", now)
	}
	if err := env.ResumeNode(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := env.Restart(ctx, nomad); err != nil {
		t.Fatal(err)
	}
	waitSeen(t, env, 2, "ready", "alive")
	waitSeen(t, env, 1, "ready", "alive")
}

// cutOff cuts one node off, from another and then from all, and mends the network.
func cutOff(t *testing.T, env *cluster.Env) {
	t.Helper()
	healOne, err := env.Cut(t.Context(), 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	healAll, err := harness.Isolate(t.Context(), env, 3)
	if err != nil {
		t.Fatal(err)
	}
	waitSeen(t, env, 3, "down", "failed")
	if now := lookAtNodes(t, env); now.consul[1] != "alive" || now.nomad[1] != "ready" {
		t.Errorf("the others are %+v", now)
	}
	// The rest of the machine still reaches it.
	must(t, http.MethodGet, env.Nodes[2].ConsulAddr+"/v1/agent/self", "", nil, nil)
	must(t, http.MethodGet, env.Nodes[2].NomadAddr+"/v1/agent/self", "", nil, nil)
	for _, heal := range []func() error{healAll, healOne, healOne} {
		if err := heal(); err != nil {
			t.Fatal(err)
		}
	}
	waitSeen(t, env, 3, "ready", "alive")
}
