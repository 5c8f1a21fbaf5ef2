package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// admit pulls the artifact and verifies all of it: nothing of it is parsed as a spec, compiled or executed before its
// attestation was verified with the function's key.
func (s *start) admit(ctx context.Context) error {
	ref, err := artifact.ParseReference(s.request.Artifact)
	if err != nil {
		return invalid("artifact %q: %v", s.request.Artifact, err)
	}
	ring, err := s.keyRing(ctx)
	if err != nil {
		return err
	}
	store, err := s.host.registries().Open(ref)
	if err != nil {
		return fmt.Errorf("artifact %s: %w", ref, err)
	}
	if s.loaded, err = s.host.cache.Load(ctx, store, ref); err != nil {
		return fmt.Errorf("pulling artifact %s: %w", ref, err)
	}
	s.attested, err = s.verify(ring)
	if err != nil && s.loaded.Cached {
		err = s.verifyAnew(ctx, store, ring, err)
	}
	if err != nil {
		return fmt.Errorf("artifact %s is refused: %w", ref, err)
	}
	if s.loaded.NotKept != nil {
		s.host.log.Warn("an artifact could not be cached", "artifact", ref.String(), "error", s.loaded.NotKept)
	}
	want, err := s.mustBe()
	if err != nil {
		return err
	}
	s.ring, s.standing = ring, s.attestedNow(ring, want)
	came := ""
	if s.loaded.Transfer.Size > 0 {
		came = "; " + s.loaded.Transfer.String()
	}
	s.event("Artifact verified: signed with %s, built from commit %s of %s%s", s.attested.Key, s.attested.Commit, s.attested.Repository, came)
	if err := s.readInterface(); err != nil {
		return err
	}
	return s.readSpec()
}

// readInterface parses the verified interface document.
func (s *start) readInterface() error {
	var err error
	if s.face, err = interfaces.Parse(s.loaded.Interface); err != nil {
		return invalid("the artifact's interface document: %v", err)
	}
	if s.face.Function != s.request.Function {
		return invalid("the artifact's interface document is about function %.64q, not %q", s.face.Function, s.request.Function)
	}
	return nil
}

// registries are those that the node's configuration allows.
func (h *Host) registries() artifact.Registries {
	registry := h.config.Registry
	return artifact.Registries{Allow: registry.Allow, Logins: registry.Logins, PlainHTTP: h.config.PlainHTTP}
}

// keyRing returns the function's public keys: Vault's answer joined to what this node has kept, or what it has kept
// while Vault is away.
func (s *start) keyRing(ctx context.Context) (keyring.KeyRing, error) {
	client, err := transit.New(s.login.Client(), s.host.config.Vault.TransitMount)
	if err != nil {
		return keyring.KeyRing{}, err
	}
	fresh, err := client.PublicKeys(ctx, s.request.Function)
	var unreachable *transit.UnreachableError
	switch {
	case err == nil:
		return s.host.updateRing(fresh)
	case errors.As(err, &unreachable):
		ring, kept := s.host.rings.Load(s.request.Function)
		if kept != nil {
			return keyring.KeyRing{}, errors.Join(err, kept)
		}
		s.event("Vault is away: verifying with the public keys of %s", ring.FetchedAt.UTC().Format("2006-01-02 15:04"))
		return ring, nil
	}
	return keyring.KeyRing{}, fmt.Errorf("reading the public keys of function %q: %w", s.request.Function, err)
}

// updateRing joins Vault's answer to what this node knows of a function's keys.
func (h *Host) updateRing(fresh keyring.KeyRing) (keyring.KeyRing, error) {
	ring, change, err := h.rings.Update(fresh)
	if err == nil && change.HeldFloor > 0 {
		h.log.Warn("Vault's min_decryption_version went down; this node keeps the higher floor",
			"function", fresh.Function, "vault", fresh.MinVersion, "floor", change.HeldFloor)
	}
	return ring, err
}

// verify checks the attestation against the bytes that were pulled.
func (s *start) verify(ring keyring.KeyRing) (*attest.Attestation, error) {
	want, err := s.mustBe()
	if err != nil {
		return nil, err
	}
	return attest.VerifyAny(s.loaded.Bundles, ring, want)
}

// mustBe is what an attestation of the bytes that were pulled has to be about.
func (s *start) mustBe() (attest.Want, error) {
	interfaceDigest, err := s.loaded.InterfaceDigest()
	return attest.Want{Function: s.request.Function, ManifestDigest: s.loaded.ManifestDigest,
		FileDigests: s.loaded.FileDigests(), SpecDigest: s.loaded.SpecDigest(), InterfaceDigest: interfaceDigest}, err
}

// verifyAnew asks the registry for the attestations again: the artifact may have been signed once more since this node
// cached it. refusal is what the cached ones gave.
func (s *start) verifyAnew(ctx context.Context, store artifact.Store, ring keyring.KeyRing, refusal error) error {
	bundles, err := s.host.cache.RefreshBundles(ctx, store, s.loaded.Reference)
	if err != nil {
		return errors.Join(refusal, fmt.Errorf("looking for newer attestations: %w", err))
	}
	s.loaded.Bundles = bundles
	s.attested, err = s.verify(ring)
	return err
}

// readSpec parses the verified spec and refuses what this host cannot hold it to.
func (s *start) readSpec() error {
	functions, diags := hclspec.ParseFunctions(s.request.Function+".hcl", s.loaded.Spec)
	if diags.HasErrors() {
		return invalid("the artifact's spec: %v", diags)
	}
	i := slices.IndexFunc(functions, func(f *hclspec.Function) bool { return f.Name == s.request.Function })
	if i < 0 {
		return invalid("the artifact's spec does not declare function %q", s.request.Function)
	}
	s.spec = functions[i]
	switch {
	case s.spec.Runtime == hclspec.RuntimeWasm && len(s.loaded.Wasm) == 0:
		return invalid("function %q has runtime \"wasm\", and its artifact has no WebAssembly module", s.spec.Name)
	case s.spec.Runtime == hclspec.RuntimeNative && len(s.loaded.Native[platform]) == 0:
		return invalid("function %q has runtime \"native\", and its artifact has no executable for %s", s.spec.Name, platform)
	case s.spec.Ingress != nil && s.spec.Ingress.Auth == hclspec.AuthJWT && len(s.host.config.Ingress.Issuers) == 0:
		return invalid("function %q has ingress auth \"jwt\", and this host trusts no issuer of tokens: "+
			"set `ingress.jwt` in the driver's plugin block", s.spec.Name)
	case s.request.MemoryBytes < s.spec.Resources.Memory:
		return invalid("Nomad reserved %d bytes of memory, the spec of function %q needs %d: raise `memory` in the job",
			s.request.MemoryBytes, s.spec.Name, s.spec.Resources.Memory)
	}
	return s.checkTags()
}
