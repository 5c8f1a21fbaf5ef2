// Package e2e tests Countersign end to end on a real cluster: Nomad, Consul, Vault and an OCI registry, started on
// free ports for the test and removed after it. The tests carry the build tag integration; `make integration` runs
// them. They fail, and never skip, when a server cannot be started.
package e2e
