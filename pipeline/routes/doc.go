// Package routes plans where calls of functions may go: which configuration entries Consul should have, given those that
// it has, so that callers may call what their specs list and a canary gets its share of the calls.
//
// It owns the entries that are ours, how they are told from those of other people, and the words for what changes. It is
// pure: package consul reads and writes. It must not know Nomad, nor when in a deploy an entry is written.
package routes
