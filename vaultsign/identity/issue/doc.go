// Package issue gets what package identity describes from Vault: the certificate of an allocation's call key, in
// exchange for its Nomad workload identity; the certificate of an outside client, in exchange for an operator's token;
// and the trust bundle.
//
// It owns the login, its retries, renewal and the bundle's cache on disk. It must not know call messages, functions'
// specs or Nomad's API: a workload identity is a file with a JWT in it. Tokens and JWTs never appear in its errors or
// logs.
package issue
