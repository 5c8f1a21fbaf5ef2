package cluster

import (
	"fmt"
	"net"
	"time"
)

// Servers listen between portFrom and portTo: below the range from which Linux takes the ports of outgoing
// connections, which could otherwise take a port between the time it is found free and the time it is used.
const (
	portFrom = 10000
	portTo   = 20000

	// Above them each cluster has a slice of its own for the ports that Nomad gives to tasks.
	dynamicFrom   = 20000
	dynamicCount  = 400
	dynamicSlices = 30
)

// dynamicPorts is the part of the slice that a node has, first and last. The nodes of a cluster share an address there:
// Nomad does not know of a loopback address that no interface lists.
func (s *state) dynamicPorts(node int) (first, last int) {
	if node == 0 {
		return s.MinDynamicPort, s.MinDynamicPort + dynamicCount - 1
	}
	const count = dynamicCount / MaxNodes
	first = s.MinDynamicPort + count*(node-1)
	return first, first + count - 1
}

// portFree tells whether TCP and UDP of a port are free. Serf uses both.
func portFree(host string, port int) bool {
	address := fmt.Sprintf("%s:%d", host, port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	p.Close()
	return true
}

// releaseTime is how long a process that was killed may take to give its ports back: it counts as dead before the last of
// its threads has ended.
const releaseTime = 2 * time.Second

// portFreed waits a moment for a port to become free again.
func portFreed(host string, port int) bool {
	for end := time.Now().Add(releaseTime); !portFree(host, port); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// pickPort returns a free port that is not in taken.
func pickPort(host string, taken map[int]bool) (int, error) {
	for range 1000 {
		port := portFrom + random(portTo-portFrom)
		if !taken[port] && portFree(host, port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on %s", portFrom, portTo, host)
}

// assignPorts gives a server its ports: those that it had if they are free, so that addresses stay what they were,
// and fresh ones otherwise, or all fresh if renew is set.
func (s *state) assignPorts(server string, purposes []string, renew bool) error {
	taken := map[int]bool{}
	for name, ports := range s.Ports {
		for _, port := range ports {
			if name != server {
				taken[port] = true
			}
		}
	}
	host := s.host(agentNode(server))
	ports := map[string]int{}
	for _, purpose := range purposes {
		port := s.Ports[server][purpose]
		if renew || port == 0 || taken[port] || !portFreed(host, port) {
			var err error
			if port, err = pickPort(host, taken); err != nil {
				return fmt.Errorf("port for %s: %w", server, err)
			}
		}
		ports[purpose], taken[port] = port, true
	}
	s.Ports[server] = ports
	return nil
}
