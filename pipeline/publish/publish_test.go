package publish

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/load"
	"countersign/pipeline/progress"
	"countersign/pipeline/vault/vaulttest"
	"countersign/vaultsign/attest"
)

// directory is a registry's repository on disk.
func directory(t *testing.T) artifact.Store {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// publishing returns a release in the making with a registry, and the function of it.
func publishing(t *testing.T, k *vaulttest.Keys, store artifact.Store, commitDigit string) (*Publication, *Function) {
	t.Helper()
	env := &hclspec.Environment{Registry: hclspec.Registry{Address: "registry.example:5000", Prefix: "functions"}}
	source := &load.Source{
		Built: load.Built{
			Name: "quote", Target: "@quote//:quote", Runtime: hclspec.RuntimeWasm,
			Repository: "https://git.example/quote.git", Commit: strings.Repeat(commitDigit, 40), Ref: "release",
		},
		Function: &hclspec.Function{Name: "quote"}, SpecSource: []byte("function \"quote\" {}\n"),
	}
	document := []byte(`{"calls":{},"function":"quote","reply":{"format":"int64","kind":"integer"},"request":{"kind":"string"}}`)
	open := func(artifact.Reference) (artifact.Store, error) { return store, nil }
	o := Options{Environment: env, Builder: "https://build.example/v1", Open: open,
		Deployer: attest.Deployer{Entity: "builder " + commitDigit, EntityID: commitDigit, DisplayName: "oidc-" + commitDigit}}
	p := New(o, []*load.Source{source}, progress.NewRecorder(nil))
	p.UseKeys(k, k.Signer)
	f := p.functions[0]
	if err := p.pack(f, []byte("\x00asm module"), document); err != nil {
		t.Fatal(err)
	}
	return p, f
}

func TestSignAndPublishOnlyWhatLacks(t *testing.T) {
	k, store := vaulttest.New(t), directory(t)
	run := func(t *testing.T, commitDigit string, wantSigned bool, wantVersion int, wantCommit string) {
		t.Helper()
		p, f := publishing(t, k, store, commitDigit)
		signed, err := p.sign(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		published, err := p.publish(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if signed.Idle == wantSigned || published.Idle == wantSigned {
			t.Errorf("sign: %+v, publish: %+v; want them to do something: %t", signed, published, wantSigned)
		}
		if got := f.Attestation.Key.Version; got != wantVersion {
			t.Errorf("attested by version %d, want %d", got, wantVersion)
		}
		if f.Attestation.Commit != strings.Repeat(wantCommit, 40) {
			t.Errorf("attested commit %s, want 40 times %s", f.Attestation.Commit, wantCommit)
		}
		if f.Attestation.Ref != "release" {
			t.Errorf("attested ref %q, want that of the pin", f.Attestation.Ref)
		}
		if f.Signed != wantSigned || f.Published != wantSigned {
			t.Errorf("result tells signed %t, published %t; want %t", f.Signed, f.Published, wantSigned)
		}
	}
	run(t, "1", true, 1, "1")  // first deploy: makes the key
	run(t, "1", false, 1, "1") // no change
	run(t, "2", false, 1, "1") // another commit that gives the same bytes
	k.Rotate()
	run(t, "2", true, 2, "1")  // version 1 still counts: what it states is signed again
	run(t, "2", false, 2, "1") // the one of the latest version is found among both
	k.Retire(2)
	run(t, "2", false, 2, "1")
	k.Rotate()
	k.Retire(3)
	run(t, "2", true, 3, "2") // nothing counts any more: signed anew
}

// TestSignedAgain rotates the key of what somebody else deployed: the attestation of the new version says what was built,
// and by whom, as before, and who had it signed again. The artifact is the same.
func TestSignedAgain(t *testing.T) {
	k, store := vaulttest.New(t), directory(t)
	step := func(commitDigit string) *Function {
		p, f := publishing(t, k, store, commitDigit)
		for _, step := range []func(context.Context, *Function) (progress.Outcome, error){p.sign, p.publish} {
			if _, err := step(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	first := step("1")
	k.Rotate()
	again := step("2")
	if !again.SignedAgain || again.Artifact != first.Artifact {
		t.Fatalf("signed again: %t, as %s; want the artifact %s to be", again.SignedAgain, again.Artifact, first.Artifact)
	}
	want := first.Attestation.Claims
	want.SignedAgain = attest.SignedAgain{Key: "hashivault://transit/quote:v1",
		By: attest.Deployer{Entity: "builder 2", EntityID: "2", DisplayName: "oidc-2"}}
	if got := again.Attestation.Claims; !reflect.DeepEqual(got, want) {
		t.Errorf("attested is\n%+v, want\n%+v", got, want)
	}
	k.Rotate()
	p, f := publishing(t, k, store, "3")
	p.PlanOnly = true
	if o, err := p.sign(t.Context(), f); err != nil || !strings.Contains(o.Detail, "would be signed again") || f.bundle != nil {
		t.Errorf("a plan gives %+v, %v, and a bundle: %t", o, err, f.bundle != nil)
	}
}

func TestPlanOnlySignsAndPublishesNothing(t *testing.T) {
	k, store := vaulttest.New(t), directory(t)
	p, f := publishing(t, k, store, "1")
	p.PlanOnly = true
	for _, step := range []func(context.Context, *Function) (progress.Outcome, error){p.sign, p.publish} {
		o, err := step(t.Context(), f)
		if err != nil || !o.Idle || !strings.Contains(o.Detail, "would be") {
			t.Errorf("outcome %+v, %v; want nothing but what would be done", o, err)
		}
	}
	if k.Exist() {
		t.Error("a key was made")
	}
	if _, err := artifact.Pull(t.Context(), store, f.Artifact); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("pulling gives %v, want ErrNotFound", err)
	}
}

// TestTooManyAttestations has somebody attach so much to the artifact that nodes would not look at another attestation: the
// deploy says so instead of one that may not be found.
func TestTooManyAttestations(t *testing.T) {
	k, store := vaulttest.New(t), directory(t)
	p, f := publishing(t, k, store, "1")
	for _, step := range []func(context.Context, *Function) (progress.Outcome, error){p.sign, p.publish} {
		if _, err := step(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range attest.MaxBundles - 1 {
		if err := artifact.AttachBundle(t.Context(), store, f.Artifact, []byte{byte(i)}, attest.PredicateType); err != nil {
			t.Fatal(err)
		}
	}
	k.Rotate()
	p, f = publishing(t, k, store, "1")
	if _, err := p.sign(t.Context(), f); err == nil || !strings.Contains(err.Error(), "carries 64 attestations") || f.bundle != nil {
		t.Errorf("%v; want that one more would not be looked at", err)
	}
}
