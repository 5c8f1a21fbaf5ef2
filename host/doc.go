// Package host runs functions on a node. It admits artifacts (nothing is executed before its attestation verifies),
// gives each instance a call identity, runs it in a runtime (host/wasm, host/native), and carries its calls: every
// call and every return is signed and verified here.
//
// The host is a process of its own, started by the driver and outliving it; the driver speaks to it through
// host/control. It must not know Nomad: what Nomad decided arrives in a control.StartRequest.
//
// A start reads from top to bottom in start.go, a call in outbound.go (the caller's side) and inbound.go (the
// callee's side).
package host
