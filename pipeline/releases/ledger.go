package releases

import (
	"context"
	"errors"
	"fmt"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/registry"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Kept is how many of the latest releases are kept ready to be gone back to: each command that looks after that (keys,
// keys refresh, deploy) looks at so many, so that what it costs does not grow with the age of an environment.
const Kept = 20

// Head is where the latest record of an environment is. It is what Consul has.
type Head struct {
	Number   int    `json:"number"`
	Record   string `json:"record"`   // digest of the record
	Manifest string `json:"manifest"` // digest of the OCI manifest that holds it
}

// Check tells what is wrong with a pointer.
func (h Head) Check() error {
	if h.Number < 1 || h.Number > release.MaxNumber || !countersign.ValidDigest(h.Record) || !countersign.ValidDigest(h.Manifest) {
		return fmt.Errorf("%d, %.80q and %.80q are not a number and two digests", h.Number, h.Record, h.Manifest)
	}
	return nil
}

// Pointer is what points to the latest record; *consul.Client has the one that there is outside of tests.
type Pointer interface {
	// ReadHead returns the pointer of an environment and its index, for WriteHead; nil and 0 if there is none.
	ReadHead(ctx context.Context, environment string) (*Head, uint64, error)
	// WriteHead replaces it if it still has that index, and tells whether it had.
	WriteHead(ctx context.Context, environment string, head Head, index uint64) (bool, error)
}

// Keys is what signing needs of Vault.
type Keys interface {
	registry.KeyRings
	EnsureKey(ctx context.Context, function string) (created bool, err error)
}

// Ledger is the records of one environment.
type Ledger struct {
	Environment string
	Repository  artifact.Reference // where the records are
	Store       artifact.Store
	Pointer     Pointer
	Keys        Keys
	Signer      attest.Signer // of countersign.ReleaseKey
}

// Repository names the repository of an environment's records. No function's is called so: names have no dots.
func Repository(env *hclspec.Environment) artifact.Reference {
	return registry.Reference(env.Registry, "releases."+env.Name)
}

// Open returns the ledger of an environment.
func Open(env *hclspec.Environment, pointer Pointer, keys *transit.Client) (*Ledger, error) {
	repository := Repository(env)
	store, err := registry.Open(env.Registry, repository)
	if err != nil {
		return nil, err
	}
	return &Ledger{Environment: env.Name, Repository: repository, Store: store, Pointer: pointer, Keys: keys,
		Signer: keys.Signer(countersign.ReleaseKey)}, nil
}

// Entry is one record that was verified.
type Entry struct {
	*release.Record
	Digest   string        // of the record
	Manifest string        // digest of the OCI manifest that holds it
	Key      keyring.KeyID // whose signature was verified; zero if a later record vouches for it by its digest
}

// RefusedError says that what a registry or Consul has is not a record of this environment, or not the one that it ought to be.
type RefusedError struct {
	What   string
	Advice string
	Err    error // the cause, or nil
}

// Error implements error.
func (e *RefusedError) Error() string {
	s := e.What
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Unverified marks the error as a verification failure.
func (e *RefusedError) Unverified() bool { return true }

// read reads the record that a manifest holds, and verifies that it is the numbered one of this environment. The signature
// is not looked at.
func (l *Ledger) read(ctx context.Context, manifest string, number int) (*Entry, error) {
	ref := l.Repository.WithDigest(manifest)
	src, err := artifact.PullRecord(ctx, l.Store, ref)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) (*Entry, error) {
		return nil, &RefusedError{What: fmt.Sprintf("%s is not record %d of environment %s", ref, number, l.Environment), Err: err}
	}
	record, err := release.Decode(src)
	if err != nil {
		return refuse(err)
	}
	if record.Environment != l.Environment || record.Number != number {
		return refuse(fmt.Errorf("it is number %d of environment %s", record.Number, record.Environment))
	}
	digest, err := record.Digest()
	if err != nil {
		return refuse(err)
	}
	return &Entry{Record: record, Digest: digest, Manifest: manifest}, nil
}

// verify verifies a signature of a record under the present key ring.
func (l *Ledger) verify(ctx context.Context, e *Entry) error {
	ring, err := l.Keys.PublicKeys(ctx, countersign.ReleaseKey)
	if errors.Is(err, transit.ErrNoKey) {
		ring = keyring.KeyRing{Function: countersign.ReleaseKey, MinVersion: 1}
	} else if err != nil {
		return err
	}
	ref := l.Repository.WithDigest(e.Manifest)
	bundles, err := artifact.Bundles(ctx, l.Store, ref)
	if err != nil {
		return err
	}
	if e.Key, err = attest.VerifyRelease(bundles, ring, e.statement()); err == nil {
		return nil
	}
	refused := &RefusedError{What: fmt.Sprintf("record %d of environment %s (%s)", e.Number, l.Environment, ref), Err: err}
	if attest.IsRetired(err) {
		refused.Advice = fmt.Sprintf("to have it signed again, set min_decryption_version of %s to an earlier version, deploy, and set it back",
			countersign.ReleaseKey)
	}
	return refused
}

// statement is what a signature of the record states.
func (e *Entry) statement() attest.Release {
	return attest.Release{Environment: e.Environment, Number: e.Number, RecordDigest: e.Digest, ManifestDigest: e.Manifest}
}

// tagged reads the record that a number's tag names.
func (l *Ledger) tagged(ctx context.Context, number int) (*Entry, error) {
	ref := l.Repository
	ref.Tag = release.Tag(number)
	pinned, err := artifact.Resolve(ctx, l.Store, ref)
	if err != nil {
		return nil, err
	}
	return l.read(ctx, pinned.Digest, number)
}
