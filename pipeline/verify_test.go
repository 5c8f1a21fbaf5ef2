package pipeline

import (
	"errors"
	"testing"

	"countersign/artifact"
	"countersign/pipeline/load"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault/vaulttest"
	"countersign/vaultsign/attest"
)

func TestRingOfOnePublicKey(t *testing.T) {
	k, open := vaulttest.New(t), directory(t)
	k.Rotate()
	k.Rotate() // signs with version 2
	_, build := built(t, "", map[string][]string{"quote": nil})
	p := publish.New(publish.Options{Environment: build.Environment, Builder: DefaultBuilder, Open: open}, build.Sources,
		progress.NewRecorder(nil))
	p.UseKeys(k, k.Signer)
	if err := errors.Join(load.Whole(p.Describe(t.Context()), nil), p.Publish(t.Context())); err != nil {
		t.Fatal(err)
	}
	store, err := open(artifact.Reference{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := artifact.Pull(t.Context(), store, p.Functions()[0].Artifact)
	if err != nil {
		t.Fatal(err)
	}
	w, err := registry.Want(loaded.Documents(loaded.Reference))
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[int]bool{2: true, 1: false} {
		ring, err := ringOf([]byte(k.PEM(version)), loaded.Bundles, w)
		if err != nil {
			t.Fatal(err)
		}
		a, err := attest.VerifyAny(loaded.Bundles, ring, w)
		if ok != (err == nil) || ok && a.Key.Version != 2 {
			t.Errorf("with the key of version %d: %+v, %v", version, a, err)
		}
	}
	if _, err := ringOf([]byte("-----BEGIN CERTIFICATE-----"), nil, w); err == nil {
		t.Error("a file without a public key was taken")
	}
}
