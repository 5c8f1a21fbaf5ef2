package pipeline

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"countersign/artifact"
	"countersign/pipeline/failure"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/release"
)

// TestACalleeEvolves deploys tax alone, with another interface, while a quote runs that was built with the one before.
// What quote was built with is read from the registry, where it is attested.
func TestACalleeEvolves(t *testing.T) {
	widened := strings.Replace(document(t, "tax"), "int64", "int32", 1)
	for name, tc := range map[string]struct {
		document string
		change   func(*shop, map[string]release.Function)
		want     string // part of the error; "" is none
	}{
		"it serves":       {widened, nil, ""},
		"it does not":     {strings.Replace(document(t, "tax"), "int64", "uint64", 1), nil, "quote@1111111 (running, not part of this deploy) was built with tax's reply integer int64, but tax@1111111 has integer uint64"},
		"nobody knows it": {widened, func(s *shop, _ map[string]release.Function) { s.keys.Rotate(); s.keys.Retire(2) }, "can't be compared"},
		"another artifact": {widened, func(_ *shop, running map[string]release.Function) {
			quote := running["quote"]
			quote.ArtifactDigest = running["tax"].ArtifactDigest
			running["quote"] = quote
		}, "can't be compared"},
		"no registry": {widened, func(s *shop, _ map[string]release.Function) {
			s.reader.Open = func(artifact.Reference) (artifact.Store, error) {
				return nil, &failure.UnreachableError{Server: "the registry", Err: errors.New("it is away")}
			}
		}, "could not reach the registry"},
	} {
		for _, planOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, only a plan %t", name, planOnly), func(t *testing.T) {
				s := published(t)
				open, running := s.reader.Open, s.decoded(t, nothing).Functions
				for name, f := range running {
					f.Artifact, f.Key = "", "" // a job does not tell
					running[name] = f
				}
				if tc.change != nil {
					tc.change(s, running)
				}
				dir, build := built(t, "", map[string][]string{"tax": nil})
				write(t, filepath.Join(dir, "cache/countersign/interfaces", fmt.Sprintf("%x.json", sha256.Sum256([]byte("\x00asm tax")))), tc.document)
				p := publish.New(publish.Options{Environment: build.Environment, Builder: DefaultBuilder, Open: open, PlanOnly: planOnly},
					build.Sources, progress.NewRecorder(nil))
				p.UseKeys(s.keys, s.keys.Signer)
				if err := p.Describe(t.Context()); err != nil {
					t.Fatal(err)
				}
				e, c := s.engine(t, t.TempDir(), progress.NewRecorder(nil))
				e.Published, e.Described, e.PlanOnly, c.running = e.Artifacts, p.Described, planOnly, running
				if planOnly {
					e.Artifacts = p
				}
				_, err := e.Check(t.Context(), p.Record())
				var misfit *release.MisfitError
				if tc.want == "" {
					if err != nil {
						t.Error(err)
					}
				} else if !errors.As(err, &misfit) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("the error is %v, want one with %q", err, tc.want)
				} else if failure.IsUnreachable(err) != (name == "no registry") {
					t.Errorf("unreachable: %t: %v", failure.IsUnreachable(err), err)
				}
			})
		}
	}
}

// TestARolledBackCalleeIsCompared reads both from the registry: nothing is described.
func TestARolledBackCalleeIsCompared(t *testing.T) {
	s := published(t)
	e, c := s.engine(t, t.TempDir(), progress.NewRecorder(nil))
	record := s.decoded(t, nothing)
	tax := record.Functions["tax"]
	c.running = map[string]release.Function{"quote": record.Functions["quote"]}
	quote := c.running["quote"]
	quote.Calls = map[string]string{"tax": "sha256:" + strings.Repeat("0", 64)}
	c.running["quote"] = quote
	record.Functions = map[string]release.Function{"tax": tax}
	var misfit *release.MisfitError
	if _, err := e.Check(t.Context(), record); !errors.As(err, &misfit) || !strings.Contains(err.Error(), "than is said of it") {
		t.Errorf("a job that lies about what its artifact was built with: %v", err)
	}
}
