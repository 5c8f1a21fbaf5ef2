package cluster

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// nodesState is a state of a cluster of three nodes.
func nodesState() *state {
	return &state{ID: "0123456789", Nodes: 3, Network: "127.20.30", MinDynamicPort: dynamicFrom,
		Ports: map[string]map[string]int{"nomad": {"rpc": 4647, "http": 4646}, "consul": {"serf": 8301}}}
}

func TestSetNodes(t *testing.T) {
	begun := map[string]map[string]int{"nomad": {"http": 1}}
	for name, c := range map[string]struct {
		now, want int
		ports     map[string]map[string]int
		refused   string // part of the error
	}{
		"new":                   {0, 3, nil, ""},
		"as it is":              {3, 0, begun, ""},
		"the same":              {3, 3, begun, ""},
		"one is the default":    {0, 1, begun, ""},
		"grows":                 {2, 3, begun, ""},
		"shrinks":               {3, 2, begun, "can't be made smaller"},
		"to one":                {3, 1, begun, "can't be made smaller"},
		"from one":              {0, 3, begun, "can't grow"},
		"before anything began": {3, 2, nil, ""},
	} {
		s := &state{Nodes: c.now, Ports: c.ports}
		err := s.setNodes(c.want)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "-dir") {
				t.Errorf("%s: got %v, want a refusal that says what to do", name, err)
			}
			if s.Nodes != c.now {
				t.Errorf("%s: was refused and done", name)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != 0 && max(s.Nodes, 1) != c.want:
			t.Errorf("%s: there are %d nodes", name, s.Nodes)
		}
	}
	for _, n := range []int{-1, MaxNodes + 1} {
		if checkNodes(n) == nil {
			t.Errorf("%d nodes were taken", n)
		}
	}
}

func TestNodesHaveTheirOwn(t *testing.T) {
	s, d := nodesState(), dir{"/c"}
	seen := map[string]bool{}
	last := 0
	for _, n := range s.nodes() {
		node := s.env(d, n)
		for _, own := range []string{node.Name, node.Address, node.HostDataDir} {
			if seen[own] {
				t.Errorf("two nodes have %s", own)
			}
			seen[own] = true
		}
		from, to := s.dynamicPorts(n)
		if from <= last || to < from+20 || to >= dynamicFrom+dynamicCount {
			t.Errorf("node %d has ports %d to %d, the one before up to %d", n, from, to, last)
		}
		last = to
	}
	if gid, ok := s.group(2); !ok || gid != 127<<24|20<<16|30<<8|2 {
		t.Errorf("group of node 2: %d", gid)
	}
	if _, ok := (&state{}).group(0); ok {
		t.Error("the processes of a cluster of one node get a group")
	}
	if one := (&state{ID: "x"}).env(d, 0); one.Address != loopback || one.HostDataDir != "/c/data/host" {
		t.Errorf("the one node is %+v", one)
	}
}

func TestComponents(t *testing.T) {
	one, many := &state{}, nodesState()
	for _, c := range []struct {
		s    *state
		c    Component
		want string // "" is refused
	}{
		{one, Component{0, Vault}, "vault"}, {one, Component{1, Nomad}, "nomad"}, {one, Component{1, Host}, "host"},
		{one, Component{2, Nomad}, ""},
		{many, Component{0, Nomad}, "nomad"}, {many, Component{2, Consul}, "consul-2"},
		{many, Component{3, Host}, "host-3"}, {many, Component{0, Host}, ""}, {many, Component{4, Nomad}, ""},
		{many, Component{-1, Nomad}, ""},
	} {
		if got, err := c.s.name(c.c); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v of %d nodes: %q, %v", c.c, c.s.Nodes, got, err)
		}
	}
}

func TestParseComponent(t *testing.T) {
	for name, want := range map[string]Component{
		"vault": {0, Vault}, "nomad": {0, Nomad}, "nomad-2": {2, Nomad}, "host-3": {3, Host}, "consul-1": {1, Consul},
	} {
		if got, err := ParseComponent(name); got != want || err != nil || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "2", "nomad-", "nomad-x", "nomad-02", "nomad--1", "vault-2", "etcd", "nomad-0"} {
		if got, err := ParseComponent(name); err == nil {
			t.Errorf("%q was taken as %+v", name, got)
		}
	}
}

// TestFindHost looks for a process by what a host has: the cluster's mark and its data directory.
func TestFindHost(t *testing.T) {
	d := dir{t.TempDir()}
	s := &state{ID: "0123456789"}
	env := &Env{Dir: d.root}
	if err := d.save(s); err != nil {
		t.Fatal(err)
	}
	host := Component{1, Host}
	if err := env.Kill(t.Context(), host); !errors.As(err, new(*GoneError)) {
		t.Errorf("without a host: %v", err)
	}
	start := func(mark string) *exec.Cmd {
		if err := os.MkdirAll(d.hostDataDir(0), 0o700); err != nil {
			t.Fatal(err)
		}
		// It executes nothing else: a process that does has no environment for a moment.
		cmd := exec.Command("/bin/sh", "-c", "echo up; read never")
		cmd.Dir = d.hostDataDir(0)
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		return startHelper(t, cmd, []string{mark})
	}
	stranger := start("COUNTERSIGN_CLUSTER=another000")
	child := start(s.marker())
	if err := env.Pause(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if p, err := readProc(child.Process.Pid); err != nil || !p.stopped() {
		t.Errorf("paused, it is %+v, %v", p, err)
	}
	if err := env.Resume(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if p, err := readProc(child.Process.Pid); err != nil || p.stopped() {
		t.Errorf("resumed, it is %+v, %v", p, err)
	}
	if err := env.Kill(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", err)
	}
	if p, err := readProc(stranger.Process.Pid); err != nil || p.dead() {
		t.Errorf("the host of another cluster is %+v, %v", p, err)
	}
	if err := env.PauseNode(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "-nodes 3") {
		t.Errorf("pausing the servers as a node: %v", err)
	}
}

func TestCutRules(t *testing.T) {
	s := nodesState()
	rules := s.cutRules(0, 2)
	for _, want := range []string{
		"output_0_2 meta skgid 2132024834 ip daddr 127.0.0.1 tcp dport { 4646, 4647, 8301 } drop",
		"output_0_2 meta skgid 2132024834 ip daddr 127.0.0.1 udp dport { 4646, 4647, 8301 } drop",
		"input_0_2 meta skgid 2132024834 ip saddr 127.0.0.1 tcp sport { 4646, 4647, 8301 } drop",
		"output_0_2 meta skgid 2132024832 ip daddr 127.20.30.2 drop",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("no rule %s in\n%s", want, rules)
		}
	}
	// What anybody else says from the address of the servers goes on.
	for line := range strings.Lines(rules) {
		if strings.Contains(line, "addr 127.0.0.1") && !strings.Contains(line, "port {") {
			t.Errorf("too much is dropped: %s", line)
		}
	}
	if rules := s.cutRules(1, 3); !strings.Contains(rules, "ip saddr 127.20.30.1 ip daddr 127.20.30.3 drop") ||
		!strings.Contains(rules, "ip saddr 127.20.30.3 ip daddr 127.20.30.1 drop") {
		t.Errorf("one direction is open:\n%s", rules)
	}
}

func TestRefusedCuts(t *testing.T) {
	d := dir{t.TempDir()}
	s := nodesState()
	if err := d.save(s); err != nil {
		t.Fatal(err)
	}
	env := newEnv(d, s, "")
	for _, pair := range [][2]int{{1, 1}, {0, 0}, {1, 4}, {-1, 2}} {
		if _, err := env.Cut(t.Context(), pair[0], pair[1]); err == nil {
			t.Errorf("%v was cut", pair)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := nftCommand(d.path("nft"))
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "package nftables") {
		t.Errorf("without nft: %v", err)
	}
}
