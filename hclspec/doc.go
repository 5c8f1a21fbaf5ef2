// Package hclspec reads function specs and environment files: it parses, validates, diagnoses and formats them.
//
// It owns the two file formats (docs/spec.md), their defaults and their limits, and every rule that can be checked
// from the files alone. It finds everything that is wrong in one run, and each diagnostic carries the place in the
// source and the fix. It must not know networks, files, Bazel, Nomad, Consul or Vault: callers read the files, and a
// name that passes here may still belong to nothing that exists.
//
// Files come from other people. They are bounded in size and depth before they are parsed, they can hold literal
// values only (an environment file may also read variables of the process environment), and diagnostics never show the
// value of such a variable.
package hclspec
