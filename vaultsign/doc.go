// Package vaultsign holds what Countersign knows about keys and signatures. Its subpackages are:
//
//   - keyring: the public halves of a function's artifact key, per version, with the lowest version that still counts;
//   - attest: attestations of artifacts (in-toto Statement, DSSE envelope, sigstore bundle), made and verified;
//   - transit: the client of Vault's transit secrets engine, where the private halves live;
//   - callsig: signatures of calls and returns;
//   - identity: SPIFFE IDs, certificates of call keys, and the trust bundle that verifies them;
//   - identity/issue: the logins that obtain certificates from Vault, and their renewal;
//   - vaulterror: what an error of Vault's API means.
//
// Verification is offline and pure: bytes, a key ring and an expectation go in, a verdict comes out. Only transit and
// identity/issue speak to Vault. Nothing here knows Nomad, Consul, registries, Bazel or the runtimes.
package vaultsign
