package countersign

// Keys of the meta of a function's Nomad job. The first five are also in the meta of its Consul service.
const (
	MetaArtifact   = "artifact_digest"  // sha256:<hex> of the OCI manifest
	MetaCommit     = "commit"           // of the source, as attested
	MetaInterface  = "interface_digest" // sha256:<hex> of what callers see
	MetaRepository = "repository"       // where the source is
	MetaSpec       = "spec_digest"      // sha256:<hex> of the spec file
	MetaCalls      = "calls"            // callee=interface digest pairs, with which the artifact was built
	MetaCallees    = "callees"          // functions that the spec lets it call, separated by spaces
	MetaScaling    = "scaling"          // fewest and most allocations, such as 1-8
)

// Further keys of the meta of a function's Consul service, which routers and people read.
const (
	MetaRelease    = "release"    // see ReleaseID
	MetaAllocation = "allocation" // of Nomad, the whole ID
	MetaIOStorage  = "io_storage" // storage tags of the spec, separated by commas; only if there are any
	MetaIONetwork  = "io_network" // network tags, likewise
)

// Tags of a function's Consul service. Those that end with a hyphen are prefixes.
const (
	TagFunction  = "countersign" // every function
	TagIngress   = "ingress"     // can be called from outside
	TagRelease   = "release-"    // and the ReleaseID
	TagCommit    = "commit-"     // and the shortened commit
	TagArtifact  = "artifact-"   // and the shortened digest
	TagIOStorage = "io-storage-" // and the name of a storage tag
	TagIONetwork = "io-network-" // and the name of a network tag
)
