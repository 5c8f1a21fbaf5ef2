// Package callsig signs and verifies calls and returns: HTTP Message Signatures (RFC 9421) over a content digest
// (RFC 9530) and the fields of docs/call-format.md. A return's signature covers its call's signature, so a return
// belongs to exactly one call.
//
// The package owns the signature base, the freshness and replay rules, local sessions and the reasons to refuse. There
// is one implementation with two uses: SignCall, VerifyCall, SignReturn and VerifyReturn work on plain structs inside
// one process; SignRequest, SignResponse and Verifier put the same on net/http messages.
//
// It must not know Vault, Nomad, Consul or WebAssembly, and it does no I/O. Certificates are package identity's.
package callsig
