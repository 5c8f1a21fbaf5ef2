//go:build integration

package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"countersign/cluster/servers"
	"countersign/tests/alone"
)

// consul is a real Consul agent and server in one process. Its data is in memory: after a restart it has none.
type consul struct {
	t       *testing.T
	binary  string
	config  string
	address string // of its HTTP API, host:port
	client  *api.Client
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// startConsul starts an agent. With a token it has ACLs, which allow nothing without one; this token may do everything.
func startConsul(t *testing.T, token string) *consul {
	t.Helper()
	found, err := servers.Ensure(t.Context(), servers.Consul, nil)
	if err != nil {
		t.Fatal(err)
	}
	ip := alone.Address()
	ports := alone.Ports(t, ip, 3)
	c := &consul{t: t, binary: found.Path, address: net.JoinHostPort(ip, strconv.Itoa(ports[0])),
		config: filepath.Join(t.TempDir(), "consul.json")}
	settings := map[string]any{
		"node_name": "here", "bind_addr": ip, "client_addr": ip, "disable_host_node_id": true,
		"disable_update_check": true, "ports": map[string]int{"http": ports[0], "server": ports[1],
			"serf_lan": ports[2], "serf_wan": -1, "dns": -1, "grpc": -1, "grpc_tls": -1},
	}
	if token != "" {
		settings["acl"] = map[string]any{"enabled": true, "default_policy": "deny",
			"tokens": map[string]string{"initial_management": token, "agent": token}}
	}
	config, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	c.client, err = api.NewClient(&api.Config{Address: c.address, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("log of Consul:\n%s", tail(c.log.Bytes(), 4000))
		}
	})
	c.start()
	return c
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// start starts the agent and waits until it has elected itself leader.
func (c *consul) start() {
	c.t.Helper()
	c.cmd = exec.Command(c.binary, "agent", "-dev", "-config-file", c.config)
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.eventually(30*time.Second, "Consul has a leader and knows its node", func() bool {
		leader, err := c.client.Status().Leader()
		if err != nil || leader == "" {
			return false
		}
		nodes, _, err := c.client.Catalog().Nodes(nil)
		return err == nil && len(nodes) == 1
	})
}

func (c *consul) kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()         // it was killed
	c.cmd = nil
}

func (c *consul) eventually(within time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("after %v still not: %s", within, what)
		}
	}
}

// write writes config entries. Consul checks that they fit together, in the order in which they come.
func (c *consul) write(entries ...api.ConfigEntry) {
	c.t.Helper()
	for _, e := range entries {
		if ok, _, err := c.client.ConfigEntries().Set(e, nil); err != nil || !ok {
			c.t.Fatalf("write %s of %s: %v", e.GetKind(), e.GetName(), err)
		}
	}
}

// register registers an instance on a node of its own.
func (c *consul) register(function, allocation, release, status string, tags ...string) {
	c.t.Helper()
	_, err := c.client.Catalog().Register(&api.CatalogRegistration{
		Node: "node-" + allocation, Address: "127.0.0.2",
		Service: &api.AgentService{ID: allocation, Service: function, Port: 4000, Tags: tags,
			Meta: map[string]string{"allocation": allocation, "release": release}},
		Check: &api.AgentCheck{Node: "node-" + allocation, CheckID: "service:" + allocation, Name: "call",
			ServiceID: allocation, Status: status},
	}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
}

// node sets the status of the check of a node, which Consul's failure detection does for nodes with an agent.
func (c *consul) node(allocation, status string) {
	c.t.Helper()
	_, err := c.client.Catalog().Register(&api.CatalogRegistration{Node: "node-" + allocation, Address: "127.0.0.2",
		SkipNodeUpdate: true, Check: &api.AgentCheck{Node: "node-" + allocation, CheckID: "serfHealth",
			Name: "Serf Health Status", Status: status}}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *consul) deregister(allocation string) {
	c.t.Helper()
	_, err := c.client.Catalog().Deregister(&api.CatalogDeregistration{Node: "node-" + allocation}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
}

// watch runs a Watcher until the test ends.
func (c *consul) watch(config Config) *Watcher {
	c.t.Helper()
	config.Address = c.address
	w, err := New(config)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	c.t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
			c.t.Error("Run goes on 2 s after its context ended")
		}
	})
	return w
}
