// Package pins reads and edits the pins of a deployment repository: the entries of FUNCTIONS in repos.bzl.
//
// It owns what an entry is, as it is written in the file, and how the file is changed: no byte that an edit is not about moves,
// what is added is formatted as buildifier has it, and the file is replaced whole or not at all. It reads the text, and executes
// nothing: an entry that is computed is a diagnostic. It must not know git, Bazel or any server.
package pins
