// Package repositories tells what is behind the pins of a deployment repository, and moves them: what is new in a team's
// repository, which functions it has and who depends on them.
//
// It owns how a pin is chosen: a commit of the remote that is in the history of the pin's ref, with which what else is pinned
// still fits. How repos.bzl is written is the matter of pins, and which Go module a repository may be that of modproxy. What
// repositories hold is their teams' word and may be hostile. It must not know Bazel, nor any server of a cluster.
package repositories
