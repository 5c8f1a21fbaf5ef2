// Package bazel tests the build with a real Bazel: what it makes, that it makes the same everywhere, and what its
// sandbox and its repository rule refuse.
//
// It owns the Bazel servers that it starts. It must not know what is done with an artifact.
package bazel
