// Package release is what a deploy is about, written down: which artifact of each function runs in an environment, and
// what of it others have to know to run it. A record is made when everything is published, and is all that it takes to
// run the same again.
//
// It owns the format of a record (docs/releases.md), its digest, the difference of two, and whether callers and
// callees fit. It must not know any server, file or artifact, and it imports only the root package and the standard
// library.
package release
