// Package identity says who takes part in a call: SPIFFE IDs, the Ed25519 call keys of instances and clients, their
// X.509 certificates, and the trust bundle that certificates are verified against.
//
// It owns the certificate profile (what a call certificate must and must not contain) and the reasons to refuse one.
// Everything here is offline and pure: it must not know Vault, HTTP or call messages. Package identity/issue gets
// certificates and trust bundles from Vault.
package identity
