//go:build integration

package pipeline

import (
	"errors"
	"os"
	"testing"

	"countersign/artifact"
	"countersign/pipeline/load/loadtest"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
)

func TestSignPublishAndVerify(t *testing.T) {
	env := loadtest.Environment(t)
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		t.Fatal(err)
	}
	name := loadtest.FreshName("verify")
	_, build := built(t, os.Getenv("COUNTERSIGN_ENVIRONMENT"), map[string][]string{name: nil})
	making := func() *publish.Publication {
		p := publish.New(publish.Options{Environment: env, Builder: DefaultBuilder}, build.Sources, progress.NewRecorder(nil))
		p.UseKeys(keys, func(function string) attest.Signer { return keys.Signer(function) })
		if err := p.Describe(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	f := making().Functions()[0]
	reference := f.Artifact.String()
	if _, err := Verify(t.Context(), env, reference, nil); !errors.Is(err, artifact.ErrNotFound) || isRefusal(err) {
		t.Errorf("what is not there: %v; want ErrNotFound", err)
	}
	store, err := registry.Open(env.Registry, f.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	contents := artifact.Contents{
		Function: name, Wasm: []byte("\x00asm " + name), Spec: f.SpecSource,
		Interface: []byte(document(t, name)),
	}
	if _, _, err := artifact.Push(t.Context(), store, contents); err != nil {
		t.Fatal(err)
	}
	var noKey *vault.NoKeyError
	if _, err := Verify(t.Context(), env, reference, nil); !errors.As(err, &noKey) || !isRefusal(err) {
		t.Errorf("pushed by hand: %v; want that there is no key", err)
	}
	for run, idle := range []bool{false, true} {
		p := making()
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := p.Functions()[0]; f.Signed == idle || f.Published == idle {
			t.Fatalf("run %d: signed %t, published %t; want nothing to do: %t", run, f.Signed, f.Published, idle)
		}
	}
	v, err := Verify(t.Context(), env, reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Function != name || v.Commit != f.Commit || v.Repository != f.Repository || v.KeyVersion != 1 ||
		v.Artifact != reference || v.SpecDigest != f.SpecDigest || len(v.Files) != 1 {
		t.Errorf("verified: %+v", v)
	}
}

func isRefusal(err error) bool {
	var u interface{ Unverified() bool }
	return errors.As(err, &u) && u.Unverified()
}
