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

// Keys of the meta of a function's Consul service that a deploy adds to the job that it registers. They are not in the
// job's file.
const (
	MetaDeployedBy      = "deployed_by"      // name of the Vault entity, or of the token if that has none
	MetaDeployedEntity  = "deployed_entity"  // ID of the Vault entity
	MetaDeployedLogin   = "deployed_login"   // display name of the token: login method and name
	MetaDeployedFrom    = "deployed_from"    // user and machine
	MetaDeployedVersion = "deployed_version" // of the job: another one is a copy that somebody else registered
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
