// Package nomad is the Nomad cluster that runs the functions: what runs there, what running a job would change, running
// it, and waiting until it is healthy.
//
// It owns how a deploy uses Nomad's API, what of a job Nomad may keep (its count, the settings of a canary), and what
// people are told when Nomad gives up. It must not know Consul, Vault or the registry, nor in which order functions run.
package nomad
