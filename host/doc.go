// Package host runs functions on a node. It admits artifacts (nothing is executed before its attestation verifies),
// gives each instance a call identity, runs it in a runtime (host/wasm, host/native), and puts together what carries its
// calls. It owns the life of tasks and the control backend.
//
// The host is a process of its own, started by the driver and outliving it; the driver speaks to it through
// host/control. It must not know Nomad: what Nomad decided arrives in a control.StartRequest.
//
// A start reads from top to bottom in start.go. Calls are carried below:
//
//	host/calls    between functions: caller's and callee's side; and what runs a verified call
//	host/ingress  from outside, and the port
//	host/retry    the policy of calls to other hosts
//	host/link     the connections between hosts
//	host/problem  what the other end of a failed call is told
package host
