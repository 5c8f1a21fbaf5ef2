// Package discovery finds what a person's command needs to reach a deployment: where functions and hosts are, from
// Consul, and which Vault to ask with which token.
//
// It owns what of the process environment and of the user's files says that, and the queries to Consul. It must not know
// what is done with an address: how functions are called or how hosts count.
package discovery
