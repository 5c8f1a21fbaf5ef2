package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// metadata are the addresses, beside the link-local ones, at which clouds serve a node's credentials.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("fd00:42::42/128"),    // Scaleway
	netip.MustParsePrefix("fd00:c1::/32"),       // Oracle
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: of instances, and of what runs on EKS
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google
	netip.MustParsePrefix("255.255.255.255/32"), // no cloud's: whoever is near
}

// translated are the IPv6 addresses that routers and kernels turn into IPv4 ones, by where in them these are.
var translated = map[netip.Prefix]int{
	netip.MustParsePrefix("::/96"):          12, // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"):   12, // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"): 12, // NAT64 within a site
	netip.MustParsePrefix("2002::/16"):      2,  // 6to4
}

// refuseForbidden keeps connections from addresses that are the same everywhere and mean the machine that asks: clouds serve a
// node's credentials there. A name or a service may lead to one without the environment's saying so.
func refuseForbidden(network, address string, _ syscall.RawConn) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connecting to %q: %w", address, err)
	}
	if ip := to.Addr().WithZone("").Unmap(); forbidden(ip) || forbidden(embedded(ip)) {
		return fmt.Errorf("%s is link-local, multicast or a cloud's metadata service, to which no tag leads", ip)
	}
	return nil
}

func forbidden(ip netip.Addr) bool {
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() ||
		slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// embedded is the IPv4 address that an IPv6 address stands for, or the address itself.
func embedded(ip netip.Addr) netip.Addr {
	for prefix, at := range translated {
		if prefix.Contains(ip) {
			b := ip.As16()
			return netip.AddrFrom4([4]byte(b[at:][:4]))
		}
	}
	return ip
}
