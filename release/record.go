package release

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"countersign"
)

// Record says what of an environment runs, or is to run: for each function an artifact that is signed and published. One
// that is kept has a number, and names the one before: see docs/releases.md.
type Record struct {
	Environment string              // name of the environment
	Functions   map[string]Function // by name

	Number    int               // 1 for the first of an environment; 0: it is not kept, but about to be run
	Parent    string            // digest of the record numbered before; "" for the first
	Created   time.Time         // in UTC, whole seconds
	Deployer  Deployer          // who moved it, as Vault names him
	Action    Action            // what made it
	Restores  int               // number of the release that a rollback or rollforward as a whole brings back, or 0
	TakesBack int               // number of the release that a rollback takes back, which is the one before; or 0
	Keys      map[string]string // archive: ID of each key version that the functions name -> public key, see KeyText
}

// Action is what made a release.
type Action string

// What can make a release.
const (
	ActionDeploy      Action = "deploy"
	ActionPromote     Action = "promote"
	ActionAbort       Action = "abort"
	ActionRemove      Action = "remove"
	ActionRollback    Action = "rollback"
	ActionRollforward Action = "rollforward"
)

var actions = []Action{ActionDeploy, ActionPromote, ActionAbort, ActionRemove, ActionRollback, ActionRollforward}

// Deployer is the person or program with whose Vault token a release was recorded, as attestations name him.
type Deployer struct {
	Entity      string // name of the entity, "" if the token belongs to none
	EntityID    string
	DisplayName string // of the token: login method and name
}

// Name is the shortest that tells people who it is.
func (d Deployer) Name() string {
	if d.Entity != "" {
		return d.Entity
	}
	return d.DisplayName
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

// TagPrefix begins the tags of records in a registry.
const TagPrefix = "release-"

// Tag returns the tag of a record in a registry.
func Tag(number int) string { return TagPrefix + strconv.Itoa(number) }

// ParseTag returns the number of the record that a tag is for, and whether it is one of a record at all.
func ParseTag(tag string) (number int, ok bool) {
	if len(tag) <= len(TagPrefix) || tag[:len(TagPrefix)] != TagPrefix {
		return 0, false
	}
	number, err := strconv.Atoi(tag[len(TagPrefix):])
	return number, err == nil && number >= 1 && number <= MaxNumber && Tag(number) == tag
}
