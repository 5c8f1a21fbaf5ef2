// Package modproxy serves Go modules from the git repositories that a deployment pins: the API packages of the teams, and
// the SDK. With it `go test`, gopls and `go mod tidy` work in a clone of one team's repository, and see of the others
// exactly the commits that are deployed.
//
// It speaks the GOPROXY protocol (https://go.dev/ref/mod#goproxy-protocol), read only, and knows nothing but its modules:
// for every other path the go command is sent on to its next proxy.
//
// It owns the pins as a Go program reads them, bare clones of the pinned repositories, what a repository has to be like
// for its commits to be modules, and their versions. What repositories hold is their teams' word and may be hostile; what
// repos.bzl says is the platform's. It must not know Bazel, nor any server of a cluster.
package modproxy
