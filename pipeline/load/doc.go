// Package load reads what a deploy starts from: the manifest of what Bazel built, the specs that it names, and the
// environment file.
//
// It owns the format of the manifest, how its files are found, and that a problem of a spec is shown with its lines. It
// must not know any server.
package load
