package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Kind says which process of a node, or which server.
type Kind string

// The kinds. Vault and the registry are servers only, the host is a node's only.
const (
	Nomad    Kind = "nomad"
	Consul   Kind = "consul"
	Host     Kind = "host" // what the driver starts when the first function is placed on the node
	Vault    Kind = "vault"
	Registry Kind = "registry"
)

// Component is one process of a cluster. Nodes are numbered from 1; Node 0 is the servers. In a cluster of one node,
// node 1's Nomad and Consul are the servers.
type Component struct {
	Node int
	Kind Kind
}

// String returns the name that its log file has.
func (c Component) String() string { return agent(string(c.Kind), c.Node) }

// ParseComponent reads what String gives, such as consul-2, and nomad for the server.
func ParseComponent(name string) (Component, error) {
	kind, _, numbered := strings.Cut(name, "-")
	c := Component{Kind: Kind(kind), Node: agentNode(name)}
	known := slices.Contains([]Kind{Nomad, Consul, Host, Vault, Registry}, c.Kind)
	if !known || c.Node < 0 || c.String() != name || numbered && (c.Kind == Vault || c.Kind == Registry) {
		return Component{}, fmt.Errorf("%q is no part of a cluster: want one such as vault, nomad-2, consul-2 or host-2",
			name)
	}
	return c, nil
}

// GoneError says that a component does not run.
type GoneError struct{ Component Component }

// Error implements error.
func (e *GoneError) Error() string {
	if e.Component.Kind == Host {
		return fmt.Sprintf("%s does not run: no function was placed on the node, or it has just ended", e.Component)
	}
	return fmt.Sprintf("%s does not run; `countersign cluster up` starts it", e.Component)
}

// name is that of a component's process. Not every name has a process.
func (s *state) name(c Component) (string, error) {
	node := c.Node
	if !s.many() && node == 1 {
		node = 0
	}
	if node != 0 || c.Kind == Host && s.many() {
		if err := s.checkNode(node); err != nil {
			return "", fmt.Errorf("%s: %w", c, err)
		}
	}
	return agent(string(c.Kind), node), nil
}

// process finds the process of a component.
func (d dir) process(s *state, c Component) (record, error) {
	name, err := s.name(c)
	if err != nil {
		return record{}, err
	}
	var rec record
	if c.Kind == Host {
		rec, err = d.host(s, agentNode(name))
	} else {
		rec, err = d.record(name)
	}
	if errors.Is(err, os.ErrNotExist) || err == nil && !rec.alive() {
		return record{}, &GoneError{c}
	}
	return rec, err
}

// host finds the host process of a node: the one with the cluster's mark whose working directory is its data
// directory. Asking its control socket would not do: a paused host does not answer.
func (d dir) host(s *state, node int) (record, error) {
	all, err := processes()
	if err != nil {
		return record{}, err
	}
	for _, p := range all {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
		if err == nil && cwd == d.hostDataDir(node) && hasMarker(p.pid, s.marker()) {
			return record{Name: agent(string(Host), node), PID: p.pid, StartTick: p.startTick, BootID: bootID()}, nil
		}
	}
	return record{}, os.ErrNotExist
}
