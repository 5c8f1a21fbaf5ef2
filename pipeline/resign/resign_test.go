package resign

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	"countersign"
	"countersign/artifact"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault/vaulttest"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// shelf is a registry in a directory with an artifact of quote, and keys.
type shelf struct {
	*Resigner
	t      *testing.T
	keys   *vaulttest.Keys
	store  artifact.Store
	ref    artifact.Reference
	claims attest.Claims // what is true of the artifact
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, keys: vaulttest.New(t), store: store}
	s.Resigner = &Resigner{Keys: s.keys, Signer: s.keys.Signer, By: attest.Deployer{DisplayName: "oidc-bob"}, Mount: "transit",
		Open: func(artifact.Reference) (artifact.Store, error) { return store, nil }}
	if _, err := s.keys.EnsureKey(t.Context(), "quote"); err != nil {
		t.Fatal(err)
	}
	s.ref, s.claims = s.push("")
	return s
}

// push stores an artifact, and returns what an attestation of it would state.
func (s *shelf) push(variant string) (artifact.Reference, attest.Claims) {
	s.t.Helper()
	contents := artifact.Contents{Function: "quote", Wasm: []byte("\x00asm module" + variant), Spec: []byte("function \"quote\" {}\n"),
		Interface: []byte(`{"calls":{},"function":"quote","reply":{"kind":"string"},"request":{"kind":"string"}}`)}
	manifest, _, err := artifact.Push(s.t.Context(), s.store, contents)
	if err != nil {
		s.t.Fatal(err)
	}
	ref := artifact.Reference{Registry: "registry.example", Repository: "shop/quote"}.WithDigest(manifest.Digest.String())
	want, err := registry.Want(contents.Documents(ref))
	if err != nil {
		s.t.Fatal(err)
	}
	c := attest.Claims{Function: "quote", Repository: "https://git.example/quote.git", Commit: strings.Repeat("a", 40), Target: "@quote//:quote",
		ManifestDigest: ref.Digest, SpecDigest: want.SpecDigest, InterfaceDigest: want.InterfaceDigest,
		Builder: attest.Builder{ID: "https://build.example"}, Deployer: attest.Deployer{DisplayName: "oidc-alice"}}
	for _, f := range contents.Files() {
		c.Files = append(c.Files, attest.File{Name: f.Name, Digest: f.Digest})
	}
	return ref, c
}

// attach has the newest version of a function's key sign claims, and attaches that to the artifact, whatever it is about.
func (s *shelf) attach(function string, claims attest.Claims) {
	s.t.Helper()
	bundle, err := attest.Sign(s.t.Context(), s.keys.Signer(function), claims)
	if err == nil {
		err = artifact.AttachBundle(s.t.Context(), s.store, s.ref, bundle, attest.PredicateType)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// record is what a release record tells of the artifact now.
func (s *shelf) record() Recorded {
	s.t.Helper()
	ring, err := s.keys.PublicKeys(s.t.Context(), "quote")
	if err != nil {
		s.t.Fatal(err)
	}
	id := ring.KeyID(ring.Latest())
	public, err := ring.Archive(id.Version)
	if err != nil {
		s.t.Fatal(err)
	}
	return Recorded{Keys: map[string]string{id.String(): public}, Function: release.Function{
		Artifact: s.ref.Registry + "/" + s.ref.Repository, ArtifactDigest: s.ref.Digest, SpecDigest: s.claims.SpecDigest,
		InterfaceDigest: s.claims.InterfaceDigest, Repository: s.claims.Repository, Commit: s.claims.Commit, Key: id.String()}}
}

func (s *shelf) bundles() [][]byte {
	s.t.Helper()
	list, err := artifact.Bundles(s.t.Context(), s.store, s.ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// versions are those that attest the artifact and count, as a node finds them.
func (s *shelf) versions() (list []int) {
	s.t.Helper()
	ring, err := s.keys.PublicKeys(s.t.Context(), "quote")
	if err != nil {
		s.t.Fatal(err)
	}
	documents, err := artifact.PullDocuments(s.t.Context(), s.store, s.ref)
	if err != nil {
		s.t.Fatal(err)
	}
	want, err := registry.Want(documents)
	if err != nil {
		s.t.Fatal(err)
	}
	for v := 1; v <= ring.Latest(); v++ {
		for _, bundle := range documents.Bundles {
			if a, err := attest.Verify(bundle, ring, want); err == nil && a.Key.Version == v {
				list = append(list, v)
			}
		}
	}
	return list
}

// refused wants that nothing was signed, and why.
func (s *shelf) refused(recorded Recorded, what string) {
	s.t.Helper()
	before := len(s.bundles())
	o, err := s.Resign(s.t.Context(), recorded)
	var refused *RefusedError
	if !errors.As(err, &refused) || !countersign.IsUnverified(err) || !strings.Contains(err.Error(), what) || o != nil {
		s.t.Errorf("%+v, %v; want a refusal with %q", o, err, what)
	}
	if after := len(s.bundles()); after != before {
		s.t.Errorf("there are %d attestations after a refusal, %d before", after, before)
	}
}

// TestResign rotates and retires: the attestation of the latest version states what was built, and by whom, as before, and
// who had it signed again. A second time there is nothing to do.
func TestResign(t *testing.T) {
	s := newShelf(t)
	s.attach("quote", s.claims)
	recorded := s.record()
	if o, err := s.Resign(t.Context(), recorded); err != nil || o.Added() || len(s.bundles()) != 1 {
		t.Fatalf("before a rotation: %+v, %v", o, err)
	}
	s.keys.Rotate()
	s.DryRun = true
	if o, err := s.Resign(t.Context(), recorded); err != nil || !o.Added() || o.After != nil || len(s.bundles()) != 1 {
		t.Fatalf("a dry run: %+v, %v, and %d attestations", o, err, len(s.bundles()))
	}
	s.DryRun = false
	o, err := s.Resign(t.Context(), recorded)
	if err != nil || !o.Added() || o.Archived {
		t.Fatalf("%+v, %v", o, err)
	}
	want := s.claims
	want.SignedAgain = attest.SignedAgain{Key: "hashivault://transit/quote:v1", By: s.By}
	if got := fmt.Sprintf("%+v", o.After.Claims); got != fmt.Sprintf("%+v", want) || o.After.Key.Version != 2 {
		t.Errorf("version %d attests\n%s, want\n%+v", o.After.Key.Version, got, want)
	}
	if got := fmt.Sprint(s.versions()); got != "[1 2]" {
		t.Errorf("attested by versions %s", got)
	}
	if o, err := s.Resign(t.Context(), recorded); err != nil || o.Added() {
		t.Errorf("a second time: %+v, %v", o, err)
	}
	s.keys.Retire(2)
	if o, err := s.Resign(t.Context(), recorded); err != nil || o.Added() || fmt.Sprint(s.versions()) != "[2]" {
		t.Errorf("after the retirement: %+v, %v", o, err)
	}
}

// TestNothingUnverifiedIsRepeated has a registry serve what is no attestation of the artifact.
func TestNothingUnverifiedIsRepeated(t *testing.T) {
	for name, test := range map[string]struct {
		attach func(*shelf)
		want   string
	}{
		"unsigned": {func(*shelf) {}, "missing"},
		"no statement": {func(s *shelf) {
			_ = artifact.AttachBundle(t.Context(), s.store, s.ref, []byte("{}"), attest.PredicateType)
		}, "wrong_type"},
		"another function's": {func(s *shelf) {
			c := s.claims
			c.Function = "tax"
			s.attach("tax", c)
		}, "wrong_key"},
		"of another artifact": {func(s *shelf) {
			_, c := s.push("2")
			s.attach("quote", c)
		}, "wrong_digest"},
		"of another spec": {func(s *shelf) {
			c := s.claims
			c.SpecDigest = "sha256:" + strings.Repeat("1", 64)
			s.attach("quote", c)
		}, "wrong_spec"},
		"by a stranger's key": {func(s *shelf) {
			own := s.keys
			s.keys = vaulttest.New(t)
			s.keys.Rotate()
			s.attach("quote", s.claims)
			s.keys = own
		}, "wrong_key"},
		"by a version that was retired": {func(s *shelf) {
			s.attach("quote", s.claims)
			s.keys.Rotate()
			s.keys.Retire(2)
		}, "version_retired"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.t = t
			recorded := s.record()
			test.attach(s)
			s.keys.Rotate()
			s.refused(recorded, test.want)
		})
	}
}

// TestFromTheArchive signs again what only a retired version attests: if a user said so, and what a record vouches for.
func TestFromTheArchive(t *testing.T) {
	s := newShelf(t)
	s.attach("quote", s.claims)
	recorded := s.record()
	stolen := s.claims // what somebody made who stole version 1
	stolen.Commit = strings.Repeat("e", 40)
	s.attach("quote", stolen)
	s.keys.Rotate()
	s.keys.Retire(2)
	s.refused(recorded, "version_retired")
	s.Archive = true
	for name, change := range map[string]func(*Recorded){
		"of another commit":       func(r *Recorded) { r.Commit = strings.Repeat("b", 40) },
		"of another repository":   func(r *Recorded) { r.Repository = "https://git.example/other.git" },
		"of another spec":         func(r *Recorded) { r.SpecDigest = "sha256:" + strings.Repeat("1", 64) },
		"of another interface":    func(r *Recorded) { r.InterfaceDigest = "sha256:" + strings.Repeat("1", 64) },
		"with another public key": func(r *Recorded) { r.Keys[r.Key] = newShelf(t).record().Keys[r.Key] },
		"with no public key":      func(r *Recorded) { r.Keys = nil },
		"of another function's key": func(r *Recorded) {
			r.Key = "hashivault://transit/tax:v1"
			r.Keys[r.Key] = r.Keys["hashivault://transit/quote:v1"]
		},
		"of another mount's key": func(r *Recorded) {
			r.Key = "hashivault://other/quote:v1"
			r.Keys[r.Key] = r.Keys["hashivault://transit/quote:v1"]
		},
		"that names a version which is not retired": func(r *Recorded) {
			r.Key = "hashivault://transit/quote:v2"
			r.Keys[r.Key] = r.Keys["hashivault://transit/quote:v1"]
		},
	} {
		other := recorded
		other.Keys = maps.Clone(recorded.Keys)
		change(&other)
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			s.refused(other, "")
		})
	}
	wrong := recorded
	wrong.Commit = strings.Repeat("b", 40)
	o, err := s.Resign(t.Context(), wrong, recorded)
	if err != nil || !o.Archived || o.After.Key.Version != 2 || o.After.Commit != s.claims.Commit {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := fmt.Sprint(s.versions()); got != "[2]" {
		t.Errorf("attested by versions %s", got)
	}
}

// TestNoArtifact asks for none, and for two at once.
func TestNoArtifact(t *testing.T) {
	s := newShelf(t)
	if _, err := s.Resign(t.Context()); err == nil {
		t.Error("nothing is signed again")
	}
	s.attach("quote", s.claims) // so that each of the two alone is signed again
	s.keys.Rotate()
	other := s.record()
	other.ArtifactDigest = "sha256:" + strings.Repeat("1", 64)
	if _, err := s.Resign(t.Context(), s.record(), other); err == nil {
		t.Error("two artifacts are signed again as one")
	}
}

// TestRoom rotates more often than an artifact is to carry attestations: there are never more than that, and the one that the
// record tells of is still there. What others attached stays.
func TestRoom(t *testing.T) {
	s := newShelf(t)
	s.attach("quote", s.claims)
	recorded := s.record()
	foreign := []byte(`{"a scan":"of somebody"}`)
	if err := artifact.AttachBundle(t.Context(), s.store, s.ref, foreign, "https://scan.example"); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * Kept {
		s.keys.Rotate()
		if o, err := s.Resign(t.Context(), recorded); err != nil || !o.Added() {
			t.Fatalf("rotation %d: %+v, %v", n+1, o, err)
		}
		if len(s.bundles()) > Kept+2 {
			t.Fatalf("%d attestations after %d rotations", len(s.bundles()), n+1)
		}
	}
	versions := s.versions()
	if versions[0] != 1 || versions[len(versions)-1] != 2*Kept+1 || len(versions) != Kept+1 {
		t.Errorf("attested by versions %v", versions)
	}
	if len(s.bundles()) != len(versions)+1 {
		t.Errorf("%d bundles; want what somebody else attached, too", len(s.bundles()))
	}
}

// TestFull has an artifact on which others left so much that nodes would not look at one more.
func TestFull(t *testing.T) {
	s := newShelf(t)
	s.attach("quote", s.claims)
	recorded := s.record()
	for i := range attest.MaxBundles - 1 {
		if err := artifact.AttachBundle(t.Context(), s.store, s.ref, []byte{byte(i)}, attest.PredicateType); err != nil {
			t.Fatal(err)
		}
	}
	s.keys.Rotate()
	if o, err := s.Resign(t.Context(), recorded); err == nil || !strings.Contains(err.Error(), "carries 64 attestations") {
		t.Errorf("%+v, %v; want that one more would not be looked at", o, err)
	}
	if len(s.bundles()) != attest.MaxBundles {
		t.Errorf("%d attestations", len(s.bundles()))
	}
}

// TestWhatCountsStays attaches things that name later versions than there are, which no key made: they go before what counts.
func TestWhatCountsStays(t *testing.T) {
	s := newShelf(t)
	s.attach("quote", s.claims)
	recorded := s.record()
	recorded.Key = "" // no record tells of it
	bundle := string(s.bundles()[0])
	for i := range Kept + 3 {
		forged := strings.Replace(bundle, "quote:v1", fmt.Sprintf("quote:v%d", 100+i), 1)
		if err := artifact.AttachBundle(t.Context(), s.store, s.ref, []byte(forged), attest.PredicateType); err != nil {
			t.Fatal(err)
		}
	}
	s.keys.Rotate()
	if _, err := s.Resign(t.Context(), recorded); err != nil || fmt.Sprint(s.versions()) != "[1 2]" {
		t.Errorf("attested by versions %v, %v", s.versions(), err)
	}
	if n := len(s.bundles()); n != Kept {
		t.Errorf("%d attestations", n)
	}
}
