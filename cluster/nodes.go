package cluster

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// MaxNodes is the largest number of nodes that Up takes.
const MaxNodes = 9

// Node is where functions run: a Nomad client, a Consul agent and the host process that the driver starts.
type Node struct {
	Name        string `json:"name"` // in Nomad and in Consul
	Address     string `json:"address"`
	NomadAddr   string `json:"nomad_addr"`  // URL of its Nomad agent
	ConsulAddr  string `json:"consul_addr"` // URL of its Consul agent
	HostDataDir string `json:"host_data_dir"`
}

// many tells whether the nodes have agents of their own. Otherwise there is one node, and its agents are the servers.
func (s *state) many() bool { return s.Nodes > 1 }

// nodes numbers the nodes: 1 and up, or 0 alone, the number of the servers, if they are the node.
func (s *state) nodes() []int {
	if !s.many() {
		return []int{0}
	}
	all := make([]int, s.Nodes)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// nodeName is the name of a node's agents in Nomad and Consul; 0 is the servers.
func (s *state) nodeName(node int) string {
	if node == 0 {
		return s.node()
	}
	return fmt.Sprintf("%s-%d", s.node(), node)
}

// host is the address at which the processes of a node listen; 0 is the servers.
func (s *state) host(node int) string {
	if node == 0 {
		return loopback
	}
	return fmt.Sprintf("%s.%d", s.Network, node)
}

// group is the group ID that the processes of a node, and what they start, run with: its address as a number. It tells
// their packets from those of other nodes, since who connects to a loopback address does so from 127.0.0.1 unless it
// takes care. It tells the processes too. In a cluster of one node there is nothing to tell and they keep theirs.
func (s *state) group(node int) (gid uint32, ok bool) {
	if !s.many() {
		return 0, false
	}
	for part := range strings.SplitSeq(s.Network, ".") {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, false
		}
		gid = gid<<8 | uint32(n)
	}
	return gid<<8 | uint32(node), true
}

// runs tells whether a process of the cluster is of a node.
func (s *state) runs(node, pid int) bool {
	want, ok := s.group(node)
	got, err := groupOf(pid)
	return ok && err == nil && got == want
}

// storageDir is where a node keeps what functions store.
func (d dir) storageDir(node int) string { return d.path("data", agent("storage", node)) }

// hostDataDir is the data directory of a node's host process.
func (d dir) hostDataDir(node int) string { return d.path("data", agent("host", node)) }

// agent names the process of a kind that belongs to a node: nomad-2, or nomad for the server.
func agent(kind string, node int) string {
	if node == 0 {
		return kind
	}
	return fmt.Sprintf("%s-%d", kind, node)
}

// agentNode is the node that the name of a process has; 0 for a server.
func agentNode(name string) int {
	_, number, _ := strings.Cut(name, "-")
	node, _ := strconv.Atoi(number)
	return node
}

// newNetwork picks the first three bytes of the addresses of a cluster's nodes. Linux takes all of 127.0.0.0/8 as its
// own without set-up; low networks are left to what else may use them, such as a resolver at 127.0.0.53.
func newNetwork() string { return fmt.Sprintf("127.%d.%d", 10+random(240), random(256)) }

// checkNodes refuses a number of nodes that no cluster can have; 0 leaves the choice.
func checkNodes(n int) error {
	if n < 0 || n > MaxNodes {
		return fmt.Errorf("%d nodes: want 1 to %d", n, MaxNodes)
	}
	if n > 1 && os.Geteuid() != 0 {
		return fmt.Errorf("%d nodes: that needs root, as Nomad's clients do", n)
	}
	return nil
}

// setNodes makes the cluster one of n nodes; 0 leaves it as it is. It can grow, except from one node, whose agents are
// the servers.
func (s *state) setNodes(n int) error {
	now := max(s.Nodes, 1)
	if n == 0 || n == now {
		return nil
	}
	const instead = "`countersign cluster down -purge` and start afresh, or use another -dir"
	begun := len(s.Ports) > 0
	switch {
	case begun && n < now:
		return fmt.Errorf("the cluster has %d nodes, and can't be made smaller: %s for a cluster of %d", now, instead, n)
	case begun && now == 1:
		return fmt.Errorf("the cluster has one node, whose agents are the servers, and can't grow: "+
			"%s for a cluster of %d", instead, n)
	}
	if s.Nodes = n; s.Network == "" && s.many() {
		s.Network = newNetwork()
	}
	return nil
}

// env tells how to reach a node.
func (s *state) env(d dir, node int) Node {
	return Node{
		Name: s.nodeName(node), Address: s.host(node), HostDataDir: d.hostDataDir(node),
		NomadAddr: s.address(agent("nomad", node)), ConsulAddr: s.address(agent("consul", node)),
	}
}
