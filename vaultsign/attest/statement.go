package attest

import (
	"encoding/json"
	"slices"
	"strings"
)

// The types that an attestation is made of.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	PayloadType   = "application/vnd.in-toto+json"
	BundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// BuildType says how to read externalParameters and internalParameters: docs/attestation-format.md. It is a name
	// and not a location; its domain is reserved (RFC 2606), so nobody else can come to own it.
	BuildType = "https://countersign.example/bazel-function/v1"
)

// The wire form of a statement, in the order in which it is written. Readers use object.go, which is strict about
// names and duplicates where encoding/json is not.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     provenance `json:"predicate"`
	}
	resource struct {
		Name   string            `json:"name,omitempty"`
		URI    string            `json:"uri,omitempty"`
		Digest map[string]string `json:"digest"`
	}
	provenance struct {
		BuildDefinition buildDefinition `json:"buildDefinition"`
		RunDetails      runDetails      `json:"runDetails"`
	}
	buildDefinition struct {
		BuildType            string             `json:"buildType"`
		ExternalParameters   externalParameters `json:"externalParameters"`
		InternalParameters   internalParameters `json:"internalParameters"`
		ResolvedDependencies []resource         `json:"resolvedDependencies"`
	}
	externalParameters struct {
		Function   string `json:"function"`
		Repository string `json:"repository"`
		Commit     string `json:"commit"`
		Target     string `json:"target"`
		Ref        string `json:"ref,omitempty"`
	}
	internalParameters struct {
		SpecDigest      string `json:"specDigest"`
		InterfaceDigest string `json:"interfaceDigest"`
		Tests           Tests  `json:"tests,omitempty"`
	}
	runDetails struct {
		Builder     builder      `json:"builder"`
		Deployer    *deployer    `json:"deployer,omitempty"`
		SignedAgain *signedAgain `json:"signedAgain,omitempty"`
	}
	builder struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	}
)

// encode writes the statement of claims: the same bytes for the same claims.
func (c Claims) encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	source, err := sourceURI(c.Repository)
	if err != nil {
		return nil, err
	}
	subjects := []resource{{Name: c.Function, Digest: digestSet(c.ManifestDigest)}}
	files := slices.SortedFunc(slices.Values(c.Files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range files {
		subjects = append(subjects, resource{Name: f.Name, Digest: digestSet(f.Digest)})
	}
	return json.Marshal(statement{
		Type:          StatementType,
		Subject:       subjects,
		PredicateType: PredicateType,
		Predicate: provenance{
			BuildDefinition: buildDefinition{
				BuildType:            BuildType,
				ExternalParameters:   externalParameters{c.Function, c.Repository, c.Commit, c.Target, c.Ref},
				InternalParameters:   internalParameters{c.SpecDigest, c.InterfaceDigest, c.Tests},
				ResolvedDependencies: []resource{{URI: source, Digest: map[string]string{"gitCommit": c.Commit}}},
			},
			RunDetails: runDetails{Builder: builder{ID: c.Builder.ID, Version: c.Builder.Version},
				Deployer: c.Deployer.wire(), SignedAgain: c.SignedAgain.wire()},
		},
	})
}

// digestSet turns sha256:<hex> into in-toto's form.
func digestSet(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: hex}
}

// decodeStatement reads a statement. It checks everything that can be checked without an expectation: types, the shape
// of every value, and that what is said twice is said alike.
func decodeStatement(payload []byte) (Claims, *VerificationError) {
	root, err := parseObject(payload)
	if err != nil {
		return Claims{}, refuseFor(Malformed, err)
	}
	r := &reader{}
	predicate := r.object(root, "predicate")
	definition := r.object(predicate, "buildDefinition")
	types := []struct{ got, want string }{
		{r.text(root, "_type"), StatementType}, {r.text(root, "predicateType"), PredicateType},
		{r.text(definition, "buildType"), BuildType},
	}
	if r.err != nil {
		return Claims{}, refuseFor(Malformed, r.err)
	}
	for _, t := range types {
		if t.got != t.want {
			return Claims{}, refuse(WrongType, "a type in the statement is %.200q, not %s", t.got, t.want)
		}
	}
	external, internal := r.object(definition, "externalParameters"), r.object(definition, "internalParameters")
	run := r.object(predicate, "runDetails")
	built := r.object(run, "builder")
	c := Claims{
		Function:        r.text(external, "function"),
		Repository:      r.text(external, "repository"),
		Commit:          r.text(external, "commit"),
		Target:          r.text(external, "target"),
		Ref:             r.optional(external, "ref"),
		SpecDigest:      r.text(internal, "specDigest"),
		InterfaceDigest: r.text(internal, "interfaceDigest"),
		Tests:           Tests(r.optional(internal, "tests")),
		Builder:         Builder{ID: r.text(built, "id"), Version: r.texts(built, "version")},
		Deployer:        r.deployer(run, "deployer"),
		SignedAgain:     r.signedAgain(run),
	}
	r.subjects(root, &c)
	r.source(definition, c)
	if r.err == nil {
		r.err = c.check()
	}
	if r.err != nil {
		return Claims{}, refuseFor(Malformed, r.err)
	}
	return c, nil
}
