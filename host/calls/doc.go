// Package calls carries the calls of functions. It owns the instances of a host and both sides of a call between two of
// them; calls from outside join it at the callee's side (host/ingress). It must not know how an instance is admitted,
// started or ended, nor Nomad, Vault and Consul.
//
// The way of a call, in the order of the files:
//
//	caller.go   permit: may the caller call at all?  route: which instance?  then one attempt at a place:
//	local.go    on this host: sign, deliver to callee.go, verify the return
//	remote.go   on another host: sign, deliver and verify the return by package link, whose other end is there at callee.go
//	callee.go   verify, run, sign the return
//
// Around them: node.go has what a host's calls share, instance.go one instance, sessions.go the keys of local calls,
// explain.go what was verified on the way. Which failures are tried again is host/retry's.
package calls
