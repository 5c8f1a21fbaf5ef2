// Package alone has addresses that no other process uses, for servers that tests start: their ports are free there, and
// stay so until the servers have them. It owns that two tests never get the same.
package alone

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Address returns an IP address of this machine's loopback network, 127.0.0.0/8 (RFC 1122, section 3.2.1.3). Connections
// to others come from 127.0.0.1, so their ports are not taken from it.
func Address() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// Ports returns n ports of an address, different ones, that are free for TCP and UDP.
func Ports(tb testing.TB, address string, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			tb.Fatalf("take a free port of %s: %v", address, err)
		}
		defer l.Close() // only when all are chosen: each is another one
		ports[i] = l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			tb.Fatalf("take UDP port %d of %s: %v", ports[i], address, err)
		}
		defer p.Close()
	}
	return ports
}
