package pipeline

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/consul"
	"countersign/pipeline/failure"
	"countersign/pipeline/nomad"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Verification is what the attestation of an artifact states, after it was verified.
type Verification struct {
	Function        string            `json:"function"`
	Repository      string            `json:"repository"`
	Commit          string            `json:"commit"`
	Ref             string            `json:"ref,omitempty"` // branch or tag whose history held the commit; "" if not attested
	Target          string            `json:"target"`
	Builder         string            `json:"builder"`
	BuilderVersion  map[string]string `json:"builder_version,omitempty"`
	Deployer        string            `json:"deployer,omitempty"`    // who had it signed: Vault's entity, or name of the token
	DeployerID      string            `json:"deployer_id,omitempty"` // of Vault's entity
	DeployerLogin   string            `json:"deployer_login,omitempty"`
	SignedAgainFor  string            `json:"signed_again_for,omitempty"` // who had the attestation repeated under a later key version
	SignedAgainKey  string            `json:"signed_again_key,omitempty"` // key and version of the attestation that is repeated
	Artifact        string            `json:"artifact"`                   // OCI reference with a digest
	Files           []VerifiedFile    `json:"files"`
	SpecDigest      string            `json:"spec_digest"`
	InterfaceDigest string            `json:"interface_digest"`
	Tests           attest.Tests      `json:"tests,omitempty"` // what became of them; "" if not attested
	Key             string            `json:"key"`
	KeyVersion      int               `json:"key_version"`
	KeySource       string            `json:"key_source"` // where the public key came from
	Deployed        time.Time         `json:"deployed,omitzero"`
}

// VerifiedFile is an executable file of an artifact.
type VerifiedFile struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// Verify pulls an artifact with its attestations and verifies them here. subject is a function's name, which stands
// for what runs, or an OCI reference. publicKey is PEM that replaces Vault's key ring, or nil.
//
// Errors whose Unverified method returns true say that something was checked and refused; with all others nothing is
// known.
func Verify(ctx context.Context, env *hclspec.Environment, subject string, publicKey []byte) (*Verification, error) {
	ref, deployed, err := resolveSubject(ctx, env, subject)
	if err != nil {
		return nil, err
	}
	store, err := registry.Open(env.Registry, ref)
	if err != nil {
		return nil, err
	}
	if ref, err = artifact.Resolve(ctx, store, ref); err != nil {
		return nil, err
	}
	loaded, err := artifact.Pull(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	w, err := registry.Want(loaded.Documents(loaded.Reference))
	if err != nil {
		return nil, err
	}
	v := &Verification{Artifact: ref.String(), Deployed: deployed}
	ring, err := ringFor(ctx, env, loaded, w, publicKey)
	if err != nil {
		return nil, err
	}
	v.KeySource = "Vault"
	if publicKey != nil {
		v.KeySource = "file"
	}
	a, err := attest.VerifyAny(loaded.Bundles, ring, w)
	if err != nil {
		return nil, err
	}
	v.state(a)
	return v, nil
}

// state copies what is attested.
func (v *Verification) state(a *attest.Attestation) {
	v.Function, v.Repository, v.Commit, v.Ref, v.Target = a.Function, a.Repository, a.Commit, a.Ref, a.Target
	v.Builder, v.BuilderVersion = a.Builder.ID, a.Builder.Version
	v.Deployer, v.DeployerID, v.DeployerLogin = a.Deployer.Name(), a.Deployer.EntityID, a.Deployer.DisplayName
	v.SignedAgainFor, v.SignedAgainKey = a.SignedAgain.By.Name(), a.SignedAgain.Key
	v.SpecDigest, v.InterfaceDigest, v.Tests = a.SpecDigest, a.InterfaceDigest, a.Tests
	v.Key, v.KeyVersion = a.Key.String(), a.Key.Version
	for _, f := range a.Files {
		v.Files = append(v.Files, VerifiedFile{f.Name, f.Digest})
	}
}

// ringFor returns the key ring to verify with: Vault's, or one of the given key alone.
func ringFor(ctx context.Context, env *hclspec.Environment, loaded *artifact.Loaded, w attest.Want, publicKey []byte) (
	keyring.KeyRing, error) {
	if publicKey != nil {
		return ringOf(publicKey, loaded.Bundles, w)
	}
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return keyring.KeyRing{}, err
	}
	ring, err := keys.PublicKeys(ctx, loaded.Function)
	if errors.Is(err, transit.ErrNoKey) {
		return keyring.KeyRing{}, &vault.NoKeyError{Function: loaded.Function, Mount: env.Vault.TransitMount}
	}
	return ring, err
}

// ringOf makes a key ring of one public key. Which version it is nobody tells: it stands for every version that the
// bundles name, and only signatures of the right one verify.
func ringOf(publicKey []byte, bundles [][]byte, w attest.Want) (keyring.KeyRing, error) {
	block, _ := pem.Decode(publicKey)
	if block == nil || block.Type != "PUBLIC KEY" {
		return keyring.KeyRing{}, errors.New("the key file holds no PEM block PUBLIC KEY; " +
			"`vault read transit/keys/<function>` shows the public keys")
	}
	ring := keyring.KeyRing{Function: w.Function, Versions: map[int]string{}, MinVersion: 1, FetchedAt: time.Now()}
	for _, bundle := range bundles {
		// Without a key nothing verifies, but the refusal tells what the bundle names as its key.
		var refused *attest.VerificationError
		if _, err := attest.Verify(bundle, keyring.KeyRing{}, w); !errors.As(err, &refused) {
			continue
		}
		if id, err := keyring.ParseKeyID(refused.KeyID); err == nil && id.Function == w.Function {
			ring.Mount = id.Mount
			ring.Versions[id.Version] = string(publicKey)
		}
	}
	return ring, nil
}

// resolveSubject returns the artifact that a function's name or a reference stands for, and since when it runs.
func resolveSubject(ctx context.Context, env *hclspec.Environment, subject string) (
	artifact.Reference, time.Time, error) {
	if strings.ContainsAny(subject, "/@") {
		ref, err := artifact.ParseReference(subject)
		return ref, time.Time{}, err
	}
	if !countersign.ValidName(subject) {
		return artifact.Reference{}, time.Time{}, fmt.Errorf("%q is neither the name of a function nor a reference such as "+
			"registry/prefix/name@sha256:…", subject)
	}
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return artifact.Reference{}, time.Time{}, err
	}
	job, err := cluster.Deployed(ctx, subject)
	if err == nil && job == nil {
		running, listing := cluster.Running(ctx)
		if listing != nil {
			return artifact.Reference{}, time.Time{}, listing
		}
		unknown := &hclspec.UnknownFunctionError{Name: subject, Where: "that runs", Known: slices.Collect(maps.Keys(running))}
		err = fmt.Errorf("%w (deploy it, or name an artifact by its reference)", unknown)
	}
	if failure.IsUnreachable(err) {
		ref, consulErr := fromCatalog(ctx, env, subject)
		if consulErr != nil {
			return artifact.Reference{}, time.Time{}, errors.Join(err, consulErr)
		}
		return ref, time.Time{}, nil
	}
	if err != nil {
		return artifact.Reference{}, time.Time{}, err
	}
	ref, err := artifact.ParseReference(job.Artifact)
	return ref, job.Submitted, err
}

// fromCatalog finds out what runs from the meta of the function's instances in the Consul catalog.
func fromCatalog(ctx context.Context, env *hclspec.Environment, function string) (artifact.Reference, error) {
	client, err := consul.New(env.Consul)
	if err != nil {
		return artifact.Reference{}, err
	}
	digests, err := client.Artifacts(ctx, function)
	if err != nil {
		return artifact.Reference{}, err
	}
	switch len(digests) {
	case 0:
		return artifact.Reference{}, fmt.Errorf("the Consul catalog has no instance of function %q", function)
	case 1:
		return artifact.ParseReference(registry.Reference(env.Registry, function).WithDigest(digests[0]).String())
	}
	return artifact.Reference{}, fmt.Errorf("several versions of function %q run; name one of them: %s@ %s", function,
		registry.Reference(env.Registry, function), strings.Join(digests, ", "))
}
