// Package attest owns the attestation of a function's artifact: what it says (an in-toto Statement v1 with a SLSA
// provenance v1 predicate), how it is signed (a DSSE v1 envelope, ECDSA P-256 over SHA-256) and how it is carried (a
// sigstore bundle v0.3). docs/attestation-format.md is the normative description.
//
// Verify is pure: it reads no file, no clock and no network, and decides from a bundle, a key ring and an expectation.
// The package must not know Vault's API, registries or where key rings are kept. It holds no secrets, and an
// attestation states none.
package attest
