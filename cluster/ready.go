package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// registryServes tells whether the registry speaks the OCI distribution protocol.
func registryServes(ctx context.Context, _ dir, s *state) error {
	return rest{base: s.address("registry")}.get(ctx, "/v2/", nil)
}

// consulServes returns a test whether a node's Consul, or for 0 the server, is this cluster's and has a leader.
func consulServes(node int) func(context.Context, dir, *state) error {
	return func(ctx context.Context, _ dir, s *state) error {
		return askConsul(ctx, rest{base: s.address(agent("consul", node))}, s.nodeName(node))
	}
}

func askConsul(ctx context.Context, client rest, name string) error {
	var self struct{ Config struct{ NodeName string } }
	if err := client.get(ctx, "/v1/agent/self", &self); err != nil {
		return err
	}
	if self.Config.NodeName != name {
		return fmt.Errorf("another Consul, %q, answers at %s", self.Config.NodeName, client.base)
	}
	var leader string
	if err := client.get(ctx, "/v1/status/leader", &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("it has no leader yet")
	}
	// Nomad registers services with the local agent, which has to be in the catalog itself first.
	var node struct{ Node *struct{ Node string } }
	if err := client.get(ctx, "/v1/catalog/node/"+name, &node); err != nil {
		return err
	}
	if node.Node == nil {
		return errors.New("its node is not in the catalog yet")
	}
	return nil
}

// nomadServes returns a test whether a node's Nomad, or for 0 the server, does what it is there for.
func nomadServes(node int) func(context.Context, dir, *state) error {
	return func(ctx context.Context, d dir, s *state) error {
		client := rest{base: s.address(agent("nomad", node))}
		if node == 0 && s.many() {
			return nomadLeads(ctx, client, s.node())
		}
		return nomadRuns(ctx, client, s.nodeName(node), d.hasDriver())
	}
}

// nomadLeads tells whether it is this cluster's server and it has elected itself.
func nomadLeads(ctx context.Context, client rest, name string) error {
	var self struct{ Member struct{ Name string } }
	if err := client.get(ctx, "/v1/agent/self", &self); err != nil {
		return err
	}
	if self.Member.Name != name+".global" {
		return fmt.Errorf("another Nomad, %q, answers at %s", self.Member.Name, client.base)
	}
	var leader string
	if err := client.get(ctx, "/v1/status/leader", &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("it has no leader yet")
	}
	return nil
}

// nomadRuns tells whether Nomad is ready to run functions: a node with Consul, Vault and the driver.
func nomadRuns(ctx context.Context, client rest, name string, hasDriver bool) error {
	var agent struct {
		Stats struct {
			Client struct {
				HeartbeatTTL string `json:"heartbeat_ttl"`
			} `json:"client"`
		} `json:"stats"`
	}
	if err := client.get(ctx, "/v1/agent/self", &agent); err != nil {
		return err
	}
	// What the server knows of the node may be from before it was started again.
	if ttl := agent.Stats.Client.HeartbeatTTL; ttl == "" || ttl == "0s" {
		return errors.New("its node has not registered yet")
	}
	node, err := findNode(ctx, client, name)
	if err != nil {
		return err
	}
	switch {
	case node.Status != "ready":
		return fmt.Errorf("its node is %s", node.Status)
	case node.Attributes["consul.version"] == "":
		return errors.New("it has not found Consul yet")
	case node.Attributes["vault.version"] == "":
		return errors.New("it has not found Vault yet")
	case node.SchedulingEligibility != eligible:
		return errors.New("its node is drained")
	case !hasDriver:
		return nil
	}
	driver, ok := node.Drivers["countersign"]
	if !ok || !driver.Detected {
		return fmt.Errorf("it has not loaded the driver (%s)", driver.HealthDescription)
	}
	if !driver.Healthy {
		return fmt.Errorf("the driver is not healthy: %s", driver.HealthDescription)
	}
	return nil
}

const eligible = "eligible"

// nomadNode is what is read of a node.
type nomadNode struct {
	ID                    string
	Name                  string
	Status                string
	SchedulingEligibility string
	Attributes            map[string]string
	Drivers               map[string]struct {
		Detected, Healthy bool
		HealthDescription string
	}
}

// findNode returns one of the cluster's nodes.
func findNode(ctx context.Context, client rest, name string) (nomadNode, error) {
	var stubs []nomadNode
	if err := client.get(ctx, "/v1/nodes", &stubs); err != nil {
		return nomadNode{}, err
	}
	for _, stub := range stubs {
		if stub.Name == name {
			var node nomadNode
			err := client.get(ctx, "/v1/node/"+stub.ID, &node)
			return node, err
		}
	}
	return nomadNode{}, fmt.Errorf("node %s has not joined yet", name)
}

// openNode returns what undoes the draining of Down on a node, so that the jobs' allocations are placed again.
func openNode(number int) func(*bringUp, context.Context) error {
	return func(u *bringUp, ctx context.Context) error {
		if !u.state.Drained || number == 0 && u.state.many() {
			return nil
		}
		client := rest{base: u.address("nomad")}
		node, err := findNode(ctx, client, u.state.nodeName(number))
		if err != nil || node.SchedulingEligibility == eligible {
			return err
		}
		open := map[string]any{"DrainSpec": nil, "MarkEligible": true}
		if err := client.put(ctx, "/v1/node/"+node.ID+"/drain", open, nil); err != nil {
			return fmt.Errorf("open the node again: %w", err)
		}
		return nil
	}
}

// hasUI returns a test for a real web interface: what is built from a module may hold a page that says there is none.
func hasUI(server string) func(context.Context, *state) bool {
	return func(ctx context.Context, s *state) bool {
		page, err := rest{base: s.address(server)}.page(ctx, "/ui/")
		return err == nil && strings.Contains(page, "<script")
	}
}
