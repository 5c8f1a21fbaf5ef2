package releases

import (
	"context"
	"errors"
	"strings"
	"testing"

	"countersign"

	"oras.land/oras-go/v2/content/oci"

	"countersign/artifact"
	"countersign/pipeline/failure"
	"countersign/pipeline/vault/vaulttest"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
)

// kv is Consul's pointer, in memory.
type kv struct {
	head  *Head
	index uint64
}

func (k *kv) ReadHead(context.Context, string) (*Head, uint64, error) {
	if k.head == nil {
		return nil, 0, nil
	}
	head := *k.head
	return &head, k.index, nil
}

func (k *kv) WriteHead(_ context.Context, _ string, head Head, index uint64) (bool, error) {
	if k.head == nil && index != 0 || k.head != nil && index != k.index {
		return false, nil
	}
	k.head, k.index = &head, k.index+1
	return true, nil
}

// shelf is a registry in a directory, keys and a pointer.
type shelf struct {
	*Ledger
	kv   *kv
	keys *vaulttest.Keys
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys, pointer := vaulttest.New(t), &kv{}
	return &shelf{&Ledger{Environment: "dev", Repository: artifact.Reference{Registry: "registry.example", Repository: "releases.dev"},
		Store: store, Pointer: pointer, Keys: keys, Signer: keys.Signer(countersign.ReleaseKey)}, pointer, keys}
}

// of returns a record of one function, whose digits tell one from another.
func of(digit string) *release.Record {
	digest, key := "sha256:"+strings.Repeat(digit, 64), "hashivault://transit/tax:v1"
	return &release.Record{Action: release.ActionDeploy, Deployer: release.Deployer{DisplayName: "alice"}, Keys: map[string]string{key: "a2V5"},
		Functions: map[string]release.Function{"tax": {Artifact: "registry.example/tax", ArtifactDigest: digest, SpecDigest: digest,
			InterfaceDigest: digest, Repository: "//tax", Commit: strings.Repeat("a", 40), Key: key}}}
}

func (s *shelf) deploy(t *testing.T, digit string) *Entry {
	t.Helper()
	head, err := s.Settle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Append(t.Context(), head, of(digit))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *shelf) numbers(t *testing.T) (list []int) {
	t.Helper()
	entries, err := s.History(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Number)
	}
	return list
}

// TestFoundInTheRegistryAlone loses Consul's pointer.
func TestFoundInTheRegistryAlone(t *testing.T) {
	s := newShelf(t)
	s.deploy(t, "1")
	s.deploy(t, "2")
	last := s.deploy(t, "3")
	pointer := *s.kv.head
	s.kv.head = nil
	if head, err := s.Settle(t.Context()); err != nil || head.Digest != last.Digest || s.kv.head == nil || *s.kv.head != pointer {
		t.Errorf("found %+v, %v; Consul has %+v, want %+v", head, err, s.kv.head, pointer)
	}
	if got := s.numbers(t); len(got) != 3 {
		t.Errorf("releases %v", got)
	}
}

// TestAnOlderPointerIsBroughtForward has a Consul that was put back, or changed by who can't sign: nobody takes an older release for the latest.
func TestAnOlderPointerIsBroughtForward(t *testing.T) {
	s := newShelf(t)
	s.deploy(t, "1")
	old := *s.kv.head
	last := s.deploy(t, "2")
	s.kv.head = &old
	if head, err := s.Head(t.Context()); err != nil || head.Digest != last.Digest {
		t.Errorf("the latest is %+v, %v", head, err)
	}
}

// TestRefused changes the registry or Consul as somebody can who may write both, and may not sign.
func TestRefused(t *testing.T) {
	move := func(from, to int) func(*testing.T, *shelf) {
		return func(t *testing.T, s *shelf) {
			d, err := s.Store.Resolve(t.Context(), release.Tag(from))
			if err == nil {
				err = s.Store.Tag(t.Context(), d, release.Tag(to))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	forge := func(change func(*release.Record), keys func(*testing.T) *vaulttest.Keys) func(*testing.T, *shelf) {
		return func(t *testing.T, s *shelf) {
			head, err := s.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := of("f")
			r.Environment, r.Number, r.Parent, r.Created = "dev", head.Number+1, head.Digest, head.Created
			change(r)
			src, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			digest, _ := r.Digest()
			manifest, err := artifact.PushRecord(t.Context(), s.Store, src)
			if err != nil {
				t.Fatal(err)
			}
			if keys != nil {
				bundle, err := attest.SignRelease(t.Context(), keys(t).Signer(countersign.ReleaseKey), attest.Release{Environment: r.Environment,
					Number: r.Number, RecordDigest: digest, ManifestDigest: manifest})
				if err == nil {
					err = artifact.AttachBundle(t.Context(), s.Store, s.Repository.WithDigest(manifest), bundle, attest.ReleaseType)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := artifact.Tag(t.Context(), s.Store, s.Repository.WithDigest(manifest), release.Tag(head.Number+1)); err != nil {
				t.Fatal(err)
			}
			s.kv.head = &Head{head.Number + 1, digest, manifest}
		}
	}
	stranger := func(t *testing.T) *vaulttest.Keys {
		keys := vaulttest.New(t)
		keys.Rotate()
		return keys
	}
	none := func(*release.Record) {}
	for name, tc := range map[string]struct {
		attack func(*testing.T, *shelf)
		want   string
	}{
		"unsigned":                   {forge(none, nil), "no signature"},
		"signed by another":          {forge(none, stranger), "refused"},
		"another environment":        {forge(func(r *release.Record) { r.Environment = "prod" }, stranger), "of environment prod"},
		"an older one as the latest": {move(1, 4), "is not record 4"},
		"the latest is an older one": {move(1, 3), "is not record 3"},
		"the latest is hidden": {func(t *testing.T, s *shelf) {
			s.kv.head = &Head{9, s.kv.head.Record, s.kv.head.Manifest}
		}, "number 3"},
		"another parent": {func(t *testing.T, s *shelf) {
			own := func(*testing.T) *vaulttest.Keys { return s.keys }
			forge(func(r *release.Record) { r.Parent = "sha256:" + strings.Repeat("0", 64) }, own)(t, s)
			s.kv.head = nil
		},
			"not the one before"},
		"unsigned, in the registry alone": {func(t *testing.T, s *shelf) {
			head := s.kv.head
			forge(func(r *release.Record) { r.Parent = "sha256:" + strings.Repeat("0", 64) }, nil)(t, s)
			s.kv.head = head
		}, "no signature"}, // and not "not the one before": it is not followed
		"a gap": {func(t *testing.T, s *shelf) {
			move(1, 2)(t, s)
			s.kv.head = nil
		}, "is not record 2"},
		"another pointer": {func(t *testing.T, s *shelf) { s.kv.head.Record = "sha256:" + strings.Repeat("0", 64) }, "either of the two was changed"},
		"a signature that states another number": {func(t *testing.T, s *shelf) {
			forge(none, nil)(t, s)
			head := *s.kv.head
			bundle, err := attest.SignRelease(t.Context(), s.keys.Signer(countersign.ReleaseKey), attest.Release{Environment: "dev",
				Number: 1, RecordDigest: head.Record, ManifestDigest: head.Manifest})
			if err == nil {
				err = artifact.AttachBundle(t.Context(), s.Store, s.Repository.WithDigest(head.Manifest), bundle, attest.ReleaseType)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "not about release 4"},
		"retired": {func(t *testing.T, s *shelf) { s.keys.Rotate(); s.keys.Retire(2) }, "min_decryption_version"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.deploy(t, "1")
			s.deploy(t, "2")
			s.deploy(t, "3")
			tc.attack(t, s)
			if e, err := s.Settle(t.Context()); err == nil || !countersign.IsUnverified(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v; want a refusal with %q", e, err, tc.want)
			}
		})
	}
}

// TestSignedAgain rotates the key: a settled record counts when the version that signed it first is retired.
func TestSignedAgain(t *testing.T) {
	s := newShelf(t)
	s.deploy(t, "1")
	s.keys.Rotate()
	s.deploy(t, "2")
	s.keys.Rotate()
	if _, err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.keys.Retire(3)
	if got := s.numbers(t); len(got) != 2 {
		t.Errorf("releases %v", got)
	}
}

// TestTwoAtOnce has two deploys without a lock: one wins, the other says who won.
func TestTwoAtOnce(t *testing.T) {
	s := newShelf(t)
	s.deploy(t, "1")
	head, err := s.Settle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), head, of("2")); err != nil {
		t.Fatal(err)
	}
	var conflict *failure.ConflictError
	if _, err := s.Append(t.Context(), head, of("3")); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "alice") {
		t.Errorf("the second: %v", err)
	}
	if got := s.numbers(t); len(got) != 2 {
		t.Errorf("releases %v", got)
	}
}

var errKilled = errors.New("killed")

// killed lets a number of writes through, and none after that.
type killed struct{ left int }

func (k *killed) alive() bool { k.left--; return k.left >= 0 }

type mortalPointer struct {
	Pointer
	*killed
}

func (m mortalPointer) WriteHead(ctx context.Context, e string, h Head, i uint64) (bool, error) {
	if !m.alive() {
		return false, errKilled
	}
	return m.Pointer.WriteHead(ctx, e, h, i)
}

type mortalSigner struct {
	attest.Signer
	*killed
}

func (m mortalSigner) Sign(ctx context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	if !m.alive() {
		return nil, keyring.PublicKey{}, errKilled
	}
	return m.Signer.Sign(ctx, data)
}
