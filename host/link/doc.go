// Package link carries signed calls between the instances of two hosts: one mutual TLS 1.3 connection per calling and
// called allocation, on which many calls are under way at once. docs/call-format.md, "Calls between nodes", is the
// normative description.
//
// It owns the frames, the connections, and what ties a call to the connection that it came by. It must not know how a
// callee is chosen, what a function is made of, Consul, Nomad or Vault. Signatures are package callsig's, certificates
// package identity's.
package link

import (
	"context"
	"strings"
	"time"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// ALPN is the protocol's name in the TLS handshake (RFC 7301).
const ALPN = "countersign/1"

// ServerName returns the TLS server name (RFC 6066 section 3) of an allocation of a function.
func ServerName(allocation, function string) string { return allocation + "." + function }

// parseServerName is the inverse of ServerName. It reports false for a name that is not one.
func parseServerName(name string) (allocation, function string, ok bool) {
	allocation, function, ok = strings.Cut(name, ".")
	return allocation, function, ok && allocation != "" && function != "" && !strings.Contains(function, ".")
}

// Terms is what a caller has to know of the callee's attested spec. It comes over a connection that the callee's
// certificate authenticates.
type Terms struct {
	Timeout     time.Duration // the most that a call may take; counts in whole milliseconds
	Idempotent  bool          // a call may be executed twice
	MaxRequest  int64         // bytes
	MaxResponse int64         // bytes
	Release     string        // of the callee
	Interface   string        // sha256:<hex> of what the callee looks like to its callers
}

// Callee is an instance that can be called from other hosts.
type Callee interface {
	// Identity is the instance's current call key and certificate.
	Identity() *identity.Identity
	Terms() Terms
	// Permit says whether caller may call the function; a *countersign.CallError says why not.
	Permit(caller identity.ID) error
	// Serves returns the digest of an interface that a caller was built with, and nil if calls of such a caller are
	// understood as they were meant; if not, a *countersign.CallError says why. The digest is "" for what is no interface.
	Serves(document []byte) (digest string, err error)
	// Run executes a verified call. An error means that it was not accepted: nothing was executed. What failed in the
	// function is a Return with a Code. The body that it returns is sent after Run has returned, so it must not change.
	Run(ctx context.Context, call *callsig.Call) (callsig.Return, error)
}

// Caller is a local instance that calls.
type Caller interface {
	ID() string                   // the allocation's
	Identity() *identity.Identity // current; another one after a renewal
	// BuiltWith returns the interface with a digest that this instance was built with, nil if there is none.
	BuiltWith(digest string) []byte
}

// Target is an instance on another host.
type Target struct {
	Address        string      // host:port of its host's call listener
	Allocation     string      // its allocation ID
	Function       identity.ID // whose certificate it must present
	ConnectTimeout time.Duration
}
