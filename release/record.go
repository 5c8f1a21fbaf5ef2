package release

import (
	"maps"
	"slices"

	"countersign"
)

// Record says what of an environment runs, or is to run: for each function an artifact that is signed and published.
type Record struct {
	Environment string              // name of the environment
	Functions   map[string]Function // by name; at least one in a record that is encoded
}

// Function is one function of a record. What a server tells of a function that runs has no Artifact and no Key.
type Function struct {
	Artifact        string            // registry/repository of the OCI artifact; its last part is the function's name
	ArtifactDigest  string            // sha256:<hex> of the OCI manifest
	SpecDigest      string            // sha256:<hex> of the function spec's bytes
	InterfaceDigest string            // sha256:<hex> of the interface that callers see
	Calls           map[string]string // callee -> digest of the callee's interface that the artifact was built with
	Callees         []string          // functions that the spec lets it call, sorted; every key of Calls is one of them
	Repository      string            // where the source is, as attested
	Commit          string            // of the source, in full, as attested
	Key             string            // key and version that attest it: hashivault://<mount>/<function>:v<version>; "": none yet
}

// Reference names the artifact as registries do: registry/repository@sha256:<hex>.
func (f Function) Reference() string { return f.Artifact + "@" + f.ArtifactDigest }

// ID names the function's release for people, see countersign.ReleaseID.
func (f Function) ID() string { return countersign.ReleaseID(f.ArtifactDigest) }

// Names returns the names of the functions, sorted.
func (r *Record) Names() []string { return slices.Sorted(maps.Keys(r.Functions)) }
