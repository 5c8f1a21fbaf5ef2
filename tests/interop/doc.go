// Package interop tests what Countersign writes against the programs of others: a real Vault, a real OCI registry and
// sigstore's cosign. The tests carry the build tag integration and fail, rather than skip, without these variables:
//
//   - VAULT_ADDR, VAULT_TOKEN: a Vault with the transit engine at transit/ and a token that may make, read, rotate and
//     configure keys there and sign with them; what `countersign cluster up` sets up;
//   - COUNTERSIGN_REGISTRY: host:port of an OCI registry that speaks HTTP;
//   - COUNTERSIGN_COSIGN: path of the cosign command (tools/cosign).
package interop
