package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"countersign"
)

// Format is the member of an encoded record that names this version of the format.
const Format = "countersign.release.v1"

// MaxSize bounds an encoded record, in bytes.
const MaxSize = 4 << 20

// encoded is a record as JSON, with the members in the order of their names (RFC 8785 section 3.2.3).
type encoded struct {
	Action      Action                     `json:"action"`
	Created     string                     `json:"created"`
	Deployer    encodedDeployer            `json:"deployer"`
	Environment string                     `json:"environment"`
	Format      string                     `json:"format"`
	Functions   map[string]encodedFunction `json:"functions"`
	Keys        map[string]string          `json:"keys"`
	Number      int                        `json:"number"`
	Parent      string                     `json:"parent"`
	Restores    int                        `json:"restores"`
	TakesBack   int                        `json:"takes_back"`
}

type encodedDeployer struct {
	DisplayName string `json:"display_name"`
	Entity      string `json:"entity"`
	EntityID    string `json:"entity_id"`
}

type encodedFunction struct {
	Artifact        string            `json:"artifact"`
	ArtifactDigest  string            `json:"artifact_digest"`
	Callees         []string          `json:"callees"`
	Calls           map[string]string `json:"calls"`
	Commit          string            `json:"commit"`
	InterfaceDigest string            `json:"interface_digest"`
	Key             string            `json:"key"`
	Repository      string            `json:"repository"`
	SpecDigest      string            `json:"spec_digest"`
}

// Encode returns the canonical encoding: two records that say the same have the same bytes. The error names everything
// that is missing or malformed; a record with a function that is not attested yet has no encoding.
func (r *Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode the release record: %w", err)
	}
	e := encoded{
		Action: r.Action, Created: r.Created.Format(time.RFC3339), Environment: r.Environment, Format: Format,
		Deployer:  encodedDeployer{r.Deployer.DisplayName, r.Deployer.Entity, r.Deployer.EntityID},
		Functions: map[string]encodedFunction{}, Keys: r.Keys, Number: r.Number, Parent: r.Parent, Restores: r.Restores,
		TakesBack: r.TakesBack,
	}
	if e.Keys == nil {
		e.Keys = map[string]string{}
	}
	for name, f := range r.Functions {
		ef := encodedFunction{
			Artifact: f.Artifact, ArtifactDigest: f.ArtifactDigest, Callees: f.Callees, Calls: f.Calls, Commit: f.Commit,
			InterfaceDigest: f.InterfaceDigest, Key: f.Key, Repository: f.Repository, SpecDigest: f.SpecDigest,
		}
		if ef.Callees == nil {
			ef.Callees = []string{}
		}
		if ef.Calls == nil {
			ef.Calls = map[string]string{}
		}
		e.Functions[name] = ef
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("encode the release record: %w", err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxSize {
		return nil, fmt.Errorf("encode the release record: it has %d bytes, more than %d", len(out), MaxSize)
	}
	return out, nil
}

// Decode reads what Encode wrote and nothing else: no other order, white space or spelling, no unknown member, none that
// is there twice. So there are no two encodings of one record, and none that two readers understand differently.
func Decode(src []byte) (*Record, error) {
	if len(src) > MaxSize {
		return nil, fmt.Errorf("decode a release record: it has %d bytes, more than %d", len(src), MaxSize)
	}
	var e encoded
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, fmt.Errorf("decode a release record: %w", err)
	}
	if e.Format != Format {
		return nil, fmt.Errorf("decode a release record: its format is %.80q, not %q: use a version of countersign that "+
			"knows it", e.Format, Format)
	}
	created, err := time.Parse(time.RFC3339, e.Created)
	if err != nil {
		return nil, fmt.Errorf("decode a release record: the time %.80q is not one of RFC 3339", e.Created)
	}
	r := &Record{
		Environment: e.Environment, Functions: map[string]Function{}, Number: e.Number, Parent: e.Parent, Created: created,
		Deployer: Deployer{e.Deployer.Entity, e.Deployer.EntityID, e.Deployer.DisplayName}, Action: e.Action,
		Restores: e.Restores, TakesBack: e.TakesBack, Keys: e.Keys,
	}
	for name, f := range e.Functions {
		r.Functions[name] = Function{
			Artifact: f.Artifact, ArtifactDigest: f.ArtifactDigest, SpecDigest: f.SpecDigest, InterfaceDigest: f.InterfaceDigest,
			Calls: f.Calls, Callees: f.Callees, Repository: f.Repository, Commit: f.Commit, Key: f.Key,
		}
	}
	canonical, err := r.Encode()
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if !bytes.Equal(canonical, src) {
		return nil, errors.New("decode a release record: it is not in canonical form (docs/releases.md): a member is " +
			"missing, twice or out of order, or there is white space")
	}
	return r, nil
}

// Digest returns sha256:<hex> of the canonical encoding. The errors are those of Encode.
func (r *Record) Digest() (string, error) {
	b, err := r.Encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// ID names the record for people: the first 12 hexadecimal digits of its digest. The errors are those of Encode.
func (r *Record) ID() (string, error) {
	digest, err := r.Digest()
	return countersign.ReleaseID(digest), err
}
