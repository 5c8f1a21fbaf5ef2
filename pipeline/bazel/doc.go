// Package bazel has Bazel build and test what a deploy is about.
//
// It owns what is asked of Bazel, and what is made of its answers: which functions were built, and in a few lines why
// others were not. Only exit codes tell that something was built; what Bazel prints holds the output of teams' programs, so
// it is for people. The package must not know any server, nor what a deploy does with a function.
package bazel
