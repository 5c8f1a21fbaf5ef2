package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Cut drops every packet between two nodes, or between a node and the servers, which are 0, in both directions. What
// was connected stays so and hears nothing. heal undoes it, as Up and Down do; it may be called more than once. To cut
// a pair twice is to cut it once. Consul's agents ask others about one that does not answer, so a node fails for Consul
// only when it is cut off from all other nodes and from the servers.
//
// It needs root and the command nft, of the package nftables.
func (e *Env) Cut(ctx context.Context, a, b int) (heal func() error, err error) {
	_, s, err := e.state()
	if err != nil {
		return nil, err
	}
	a, b = min(a, b), max(a, b)
	if a == b {
		return nil, fmt.Errorf("cut node %d off from itself: name two", a)
	}
	for _, node := range []int{a, b} {
		if node == 0 {
			continue
		}
		if err := s.checkNode(node); err != nil {
			return nil, fmt.Errorf("cut node %d off from %d: %w", a, b, err)
		}
	}
	if err := nft(ctx, s.cutRules(a, b)); err != nil {
		return nil, fmt.Errorf("cut the network: %w", err)
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := nft(ctx, s.mendRules(a, b)); err != nil {
			return fmt.Errorf("mend the network: %w", err)
		}
		return nil
	}, nil
}

// Heal undoes all cuts.
func (e *Env) Heal(ctx context.Context) error {
	_, s, err := e.state()
	if err != nil {
		return err
	}
	return mendAll(ctx, s)
}

// table is the name of the cluster's table of packet filters.
func (s *state) table() string { return "inet countersign_" + s.ID }

// cutRules make the chains that drop what goes between a and b, a < b. The group of the process, not the address, tells
// who sends: see state.group. It is looked at on the way in as well, for answers to who connected from 127.0.0.1.
func (s *state) cutRules(a, b int) string {
	var rules strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&rules, format+"\n", args...) }
	line("add table %s", s.table())
	for _, hook := range []string{"output", "input"} {
		chain := fmt.Sprintf("%s %s_%d_%d", s.table(), hook, a, b)
		line("add chain %s { type filter hook %s priority 0; policy accept; }", chain, hook)
		line("flush chain %s", chain)
		peer, port := "daddr", "dport"
		if hook == "input" {
			peer, port = "saddr", "sport"
		}
		for _, way := range [][2]int{{a, b}, {b, a}} {
			self, other := way[0], way[1]
			gid, _ := s.group(self)
			match := fmt.Sprintf("add rule %s meta skgid %d ip %s %s", chain, gid, peer, s.host(other))
			if other == 0 { // others speak from that address too
				for _, protocol := range []string{"tcp", "udp"} {
					line("%s %s %s { %s } drop", match, protocol, port, s.serverPorts())
				}
				continue
			}
			line("%s drop", match)
			if self != 0 {
				line("add rule %s ip saddr %s ip daddr %s drop", chain, s.host(self), s.host(other))
			}
		}
	}
	return rules.String()
}

// mendRules remove the chains of cutRules, whether they are there or not.
func (s *state) mendRules(a, b int) string {
	var rules strings.Builder
	fmt.Fprintf(&rules, "add table %s\n", s.table())
	for _, hook := range []string{"output", "input"} {
		for _, verb := range []string{"add", "flush", "delete"} {
			fmt.Fprintf(&rules, "%s chain %s %s_%d_%d\n", verb, s.table(), hook, a, b)
		}
	}
	return rules.String()
}

// serverPorts lists the ports of the servers.
func (s *state) serverPorts() string {
	var ports []string
	for _, server := range allServers {
		for _, port := range s.Ports[server.name] {
			ports = append(ports, fmt.Sprint(port))
		}
	}
	slices.Sort(ports)
	return strings.Join(ports, ", ")
}

// mendAll removes the cluster's table, whether it is there or not. Without nft there is none.
func mendAll(ctx context.Context, s *state) error {
	err := nft(ctx, fmt.Sprintf("add table %s\ndelete table %s\n", s.table(), s.table()))
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("mend the network: %w", err)
	}
	return nil
}

// nftCommand finds nft on PATH, or else where it usually is.
func nftCommand(usual string) (string, error) {
	path, err := exec.LookPath("nft")
	if err == nil {
		return path, nil
	}
	if _, statErr := os.Stat(usual); statErr == nil {
		return usual, nil
	}
	return "", fmt.Errorf("%w; install the package nftables", err)
}

// nft applies rules, all or none.
func nft(ctx context.Context, rules string) error {
	path, err := nftCommand("/usr/sbin/nft") // which may not be on PATH
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", path, err, strings.TrimSpace(string(out)))
	}
	return nil
}
