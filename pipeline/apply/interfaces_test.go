package apply

import (
	"context"
	"strings"
	"testing"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// shelf is a registry that says the same of all artifacts.
type shelf struct {
	document    string
	attestation *attest.Attestation
	asked       []string
}

func (s *shelf) Read(_ context.Context, f release.Function) (*artifact.Documents, *attest.Attestation, error) {
	s.asked = append(s.asked, f.Reference())
	return &artifact.Documents{Interface: []byte(s.document)}, s.attestation, nil
}

func TestDocuments(t *testing.T) {
	const quote = `{"calls":{},"function":"quote","reply":{"kind":"any"},"request":{"kind":"any"}}`
	attested := &attest.Attestation{}
	for name, tc := range map[string]struct {
		shelf shelf
		want  string // part of the error
	}{
		"attested":             {shelf{document: quote, attestation: attested}, ""},
		"nobody attests it":    {shelf{document: quote}, "without an attestation"},
		"of another function":  {shelf{document: strings.Replace(quote, "quote", "tax", 1), attestation: attested}, `it is function "tax"`},
		"of an earlier format": {shelf{document: strings.Replace(quote, "{}", `{"tax":"sha256:00"}`, 1), attestation: attested}, `calls of "tax"`},
	} {
		t.Run(name, func(t *testing.T) {
			env := &hclspec.Environment{Registry: hclspec.Registry{Address: "registry.example:5000", Prefix: "functions"}}
			r := &Rollout{Engine: &Engine{Options: Options{Environment: env}, Published: &tc.shelf}}
			read := r.Documents(t.Context())
			for range 2 {
				document, err := read("quote", release.Function{ArtifactDigest: digest("a")})
				if tc.want == "" && (err != nil || document.Function != "quote") ||
					tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("got %v, %v; want an error with %q", document, err, tc.want)
				}
			}
			if len(tc.shelf.asked) != 1 || tc.shelf.asked[0] != "registry.example:5000/functions/quote@"+digest("a") {
				t.Errorf("asked for %q; want the artifact once, where the environment keeps it", tc.shelf.asked)
			}
		})
	}
	described := func(release.Function) *interfaces.Document { return &interfaces.Document{} }
	r := &Rollout{Engine: &Engine{Described: described}}
	if document, err := r.Documents(t.Context())("quote", release.Function{}); err != nil || document == nil {
		t.Errorf("what is described is asked for elsewhere: %v", err)
	}
}
