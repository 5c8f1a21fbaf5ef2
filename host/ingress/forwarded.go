package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// forwardedHeader marks a call that a node passes on to the node that runs the function. Its value is the scheme with
// which the call came, which a signature may cover.
const forwardedHeader = "Countersign-Forwarded"

// comesForwarded tells whether another node passed a call on, and prepares the request to be verified as it came to
// that node. Only a node that holds a function may do so; it proves that with the function's certificate.
func comesForwarded(r *http.Request) (bool, error) {
	lines := r.Header.Values(forwardedHeader)
	if len(lines) == 0 {
		return false, nil
	}
	refused := func(why string) (bool, error) {
		return false, countersign.Errorf(countersign.CodeNotPermitted, r.PathValue("function"),
			"%s is for nodes that pass calls on to each other: %s", forwardedHeader, why)
	}
	if len(lines) != 1 || lines[0] != "http" && lines[0] != "https" {
		return refused("its value is http or https")
	}
	if r.TLS == nil {
		return refused("they use TLS")
	}
	peer, err := identity.PeerOf(*r.TLS)
	switch {
	case err != nil || peer == nil:
		return refused("they present a function's certificate")
	case peer.ID.Kind() != identity.KindFunction:
		return refused(peer.ID.String() + " is no function")
	case peer.CheckTime(time.Now()) != nil:
		return refused("the certificate of the connection is outside its time")
	}
	r.URL.Scheme = lines[0]
	return true, nil
}

// passedOnFrom returns a function that tells whether an authority may be that of the node that passed a call on, which
// has the remote address of the connection. An IP address must be that address: a node that got hold of a call for
// another one can't pass it on. Of a DNS name a node can't tell whose it is.
func passedOnFrom(remote string) func(authority string) bool {
	return func(authority string) bool {
		host, _, err := net.SplitHostPort(authority)
		if err != nil {
			host = authority
		}
		named, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return true
		}
		from, err := netip.ParseAddrPort(remote)
		return err == nil && named.Unmap() == from.Addr().Unmap().WithZone("")
	}
}
