// Package pipeline takes what Bazel built to running, healthy functions: load, describe, sign, publish, render, plan,
// run, wait. Each step is a function with a typed result; Deploy chains them and reports every one as it ends.
//
// It owns the order of the steps, the check that callers and callees fit, the rendering of Nomad jobs, and the lock
// that keeps two deploys apart. It must not run functions or take calls, and it holds no key: Vault signs.
package pipeline
