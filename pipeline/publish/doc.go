// Package publish makes a release: it asks what was built for its interface, has Vault sign what no attestation covers,
// and publishes what the registry lacks. It ends in a release.Record.
//
// It owns the artifact of a function until that is published, and what its attestation states. It knows the files of the
// build, Vault and the registry; it must not know Nomad or Consul, nor what runs.
package publish
