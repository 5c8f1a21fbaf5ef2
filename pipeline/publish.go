package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"countersign"

	vault "github.com/hashicorp/vault/api"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/progress"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// keyStore is what signing needs of Vault; *transit.Client is the one there is outside of tests.
type keyStore interface {
	EnsureKey(ctx context.Context, function string) (created bool, err error)
	PublicKeys(ctx context.Context, function string) (keyring.KeyRing, error)
}

// packed is a function's artifact on its way into the registry.
type packed struct {
	contents  artifact.Contents
	reference artifact.Reference // with the digest of the manifest
	store     artifact.Store
	present   bool   // the registry has the manifest
	bundle    []byte // a new attestation that is not attached yet, or nil
	signed    bool
	published bool
}

// pack makes the artifact of a function in memory: its digest does not depend on the registry.
func pack(s *Source, env *hclspec.Environment, module, document []byte) (*packed, error) {
	p := &packed{contents: artifact.Contents{Function: s.Name, Spec: s.SpecSource, Interface: document}}
	if s.Runtime == hclspec.RuntimeWasm {
		p.contents.Wasm = module
	} else {
		p.contents.Native = map[string][]byte{}
		for platform, file := range s.Native {
			executable, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the executable for %s: %w", platform, err)
			}
			p.contents.Native[platform] = executable
		}
	}
	_, manifest, err := artifact.Manifest(p.contents)
	if err != nil {
		return nil, err
	}
	p.reference = reference(env, s.Name).WithDigest(manifest.Digest.String())
	p.store, err = artifact.Open(p.reference, env.Registry.PlainHTTP)
	return p, err
}

// reference names the repository of a function's artifacts.
func reference(env *hclspec.Environment, function string) artifact.Reference {
	return artifact.Reference{
		Registry:   env.Registry.Address,
		Repository: strings.TrimPrefix(strings.Trim(env.Registry.Prefix, "/")+"/"+function, "/"),
	}
}

// want is what an attestation of contents, stored under a manifest digest, has to be about.
func want(contents artifact.Contents, manifestDigest string) (attest.Want, error) {
	w := attest.Want{Function: contents.Function, ManifestDigest: manifestDigest, SpecDigest: contents.SpecDigest()}
	for _, f := range contents.Files() {
		w.FileDigests = append(w.FileDigests, f.Digest)
	}
	var err error
	w.InterfaceDigest, err = contents.InterfaceDigest()
	return w, err
}

// sign finds an attestation of the artifact that verifies under the present key ring, or has Vault sign one.
func (d *deploy) sign(ctx context.Context, u *unit) (progress.Outcome, error) {
	w, err := want(u.packed.contents, u.packed.reference.Digest)
	if err != nil {
		return progress.Outcome{}, err
	}
	ring, err := d.keys.PublicKeys(ctx, u.Name)
	if err != nil && !errors.Is(err, transit.ErrNoKey) {
		return progress.Outcome{}, err
	}
	bundles, err := artifact.Bundles(ctx, u.packed.store, u.packed.reference)
	u.packed.present = err == nil
	if err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return progress.Outcome{}, err
	}
	u.attestation, err = attest.VerifyAny(bundles, ring, w)
	if err == nil {
		return progress.Nothing(fmt.Sprintf("attested by key version %d", u.attestation.Key.Version)), nil
	}
	if d.PlanOnly {
		return progress.Nothing("would be signed: " + whyUnattested(err)), nil
	}
	made, err := d.keys.EnsureKey(ctx, u.Name)
	if err != nil {
		return progress.Outcome{}, err
	}
	if u.packed.bundle, err = attest.Sign(ctx, d.signer(u.Name), d.claims(u, w)); err != nil {
		return progress.Outcome{}, err
	}
	// What does not verify here would be refused by every host: better to know before it is published.
	if ring, err = d.keys.PublicKeys(ctx, u.Name); err != nil {
		return progress.Outcome{}, err
	}
	if u.attestation, err = attest.Verify(u.packed.bundle, ring, w); err != nil {
		return progress.Outcome{}, fmt.Errorf("verify what Vault just signed: %w", err)
	}
	u.packed.signed = true
	if made {
		return progress.Did(fmt.Sprintf("by version %d of a new key", u.attestation.Key.Version)), nil
	}
	return progress.Did(fmt.Sprintf("by key version %d", u.attestation.Key.Version)), nil
}

// whyUnattested is the reason of a refused attestation in a word.
func whyUnattested(err error) string {
	var refused *attest.VerificationError
	if errors.As(err, &refused) {
		return string(refused.Reason)
	}
	return err.Error()
}

// claims is what the attestation of a function states.
func (d *deploy) claims(u *unit, w attest.Want) attest.Claims {
	c := attest.Claims{
		Function: u.Name, Repository: u.Repository, Commit: u.Commit, Target: u.Target,
		ManifestDigest: w.ManifestDigest, SpecDigest: w.SpecDigest, InterfaceDigest: w.InterfaceDigest,
		Builder: attest.Builder{ID: d.Builder},
	}
	if c.Builder.ID == "" {
		c.Builder.ID = DefaultBuilder
	}
	for _, f := range u.packed.contents.Files() {
		c.Files = append(c.Files, attest.File{Name: f.Name, Digest: f.Digest})
	}
	return c
}

// publish puts artifact and attestation into the registry, as far as it lacks them.
func (d *deploy) publish(ctx context.Context, u *unit) (progress.Outcome, error) {
	p := u.packed
	switch {
	case p.present && p.bundle == nil:
		return progress.Nothing(countersign.Short(p.reference.Digest) + " is there"), nil
	case d.PlanOnly:
		return progress.Nothing("would be published as " + p.reference.String()), nil
	}
	if !p.present {
		manifest, _, err := artifact.Push(ctx, p.store, p.contents)
		if err != nil {
			return progress.Outcome{}, err
		}
		if got := manifest.Digest.String(); got != p.reference.Digest {
			return progress.Outcome{}, fmt.Errorf("the registry was given %s, and %s was signed", got, p.reference.Digest)
		}
	}
	if err := artifact.AttachBundle(ctx, p.store, p.reference, p.bundle, attest.PredicateType); err != nil {
		return progress.Outcome{}, err
	}
	p.published = true
	if p.present {
		return progress.Did("attestation of " + countersign.Short(p.reference.Digest)), nil
	}
	return progress.Did(p.reference.String()), nil
}

// newKeys returns the client of the environment's transit engine. What the environment leaves out comes from Vault's
// usual variables; the token comes from VAULT_TOKEN or from `vault login`.
func newKeys(env hclspec.Vault) (*transit.Client, error) {
	config := vault.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("configure the Vault client: %w", config.Error)
	}
	if env.Address != "" {
		config.Address = env.Address
	}
	client, err := vault.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Vault client for %s: %w", config.Address, err)
	}
	if env.Namespace != "" {
		client.SetNamespace(env.Namespace)
	}
	if client.Token() == "" {
		client.SetToken(tokenOfLogin())
	}
	return transit.New(client, env.TransitMount)
}

// tokenOfLogin returns the token that `vault login` left, or "".
func tokenOfLogin() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	token, err := os.ReadFile(filepath.Join(home, ".vault-token"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
}
