//go:build integration

package e2e

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/pipeline"
	"countersign/pipeline/load"
	"countersign/vaultsign/attest"
)

// built is a build of which some functions failed; Bazel's own part is tested in tests/bazel.
type built struct {
	manifest *load.Manifest
	left     []load.Left
	failing  string // function whose tests fail
	tested   []string
}

func (b *built) Functions() []string {
	names := []string{"tax"}
	for _, f := range b.manifest.Functions {
		names = append(names, f.Name)
	}
	return names
}

func (b *built) Build(context.Context, []string, func(string)) (*load.Manifest, []load.Left, error) {
	return b.manifest, b.left, nil
}

func (b *built) Test(_ context.Context, names []string, _ func(string)) (map[string]attest.Tests, []load.Left, error) {
	b.tested = append(b.tested, names...)
	passed := map[string]attest.Tests{}
	var failed []load.Left
	for _, name := range names {
		if name == b.failing {
			failed = append(failed, load.Left{Function: name, Err: errors.New("its test fails")})
		} else {
			passed[name] = attest.TestsPassed
		}
	}
	return passed, failed, nil
}

// A deploy of everything leaves behind what could not be built, what calls that and would find nothing, and what does not
// pass its tests; the rest runs. A deploy that names functions takes all of them or none.
func TestDeployLeavesBehind(t *testing.T) {
	for _, v := range env.Vars() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	remove := func(name string) {
		o := pipeline.RemoveOptions{Environment: os.Getenv("COUNTERSIGN_ENVIRONMENT"), Function: name, JobsDir: h.Scratch + "/jobs",
			Force: true, Timeout: time.Minute}
		if _, err := pipeline.Remove(t.Context(), o); err != nil && !strings.Contains(err.Error(), "there is no function") {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"quote", "tax", "fx", "thumbnail"} {
		remove(name)
	}
	deploy(t, "chaos") // runs, and is not pinned
	// Other bytes than any other test has: only what is not attested is tested.
	edit := func(_, spec string) string { return "# for a test\n" + spec }
	manifest, err := load.ReadManifest(h.Manifest(t, edit, "fx", "quote", "thumbnail"))
	if err != nil {
		t.Fatal(err)
	}
	b := &built{manifest: manifest, left: []load.Left{{Function: "tax", Err: errors.New("does not build")}}, failing: "thumbnail"}
	o := pipeline.Options{Build: b, Environment: os.Getenv("COUNTERSIGN_ENVIRONMENT"), JobsDir: h.Scratch + "/jobs", Timeout: time.Minute}

	named := o
	named.Functions = []string{"fx", "thumbnail"}
	if _, err := pipeline.Deploy(t.Context(), named); err == nil || !strings.Contains(err.Error(), "thumbnail: its test fails") {
		t.Errorf("a deploy that names what fails: %v", err)
	}
	if _, _, err := nomadClient(t).Jobs().Info("fx", nil); err == nil {
		t.Error("it ran a part of what was named")
	}

	r, err := pipeline.Deploy(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, l := range r.Left {
		left = append(left, l.Function)
		if l.Runs {
			t.Errorf("%s is said to run", l.Function)
		}
	}
	if !slices.Equal(left, []string{"quote", "tax", "thumbnail"}) || !strings.Contains(r.Left[0].Reason, `it calls "tax", which is left behind`) {
		t.Errorf("left behind: %+v", r.Left)
	}
	if !slices.Contains(r.Unpinned, "chaos") || slices.Contains(r.Unpinned, "fx") {
		t.Errorf("said to have no pin: %v", r.Unpinned)
	}
	running(t, "fx")
	if out, code := command(t, "", "verify", "fx"); code != 0 || !strings.Contains(out, "tests       passed") {
		t.Errorf("verify: %d\n%s", code, out)
	}
	// What is attested is not tested again, and -no-test is told.
	b.tested, b.failing = nil, ""
	o.NoTest = true
	if _, err = pipeline.Deploy(t.Context(), o); err != nil || len(b.tested) > 0 {
		t.Fatalf("%v; tested %v", err, b.tested)
	}
	if out, _ := command(t, "", "verify", "thumbnail"); !strings.Contains(out, "tests       skipped") {
		t.Errorf("verify says\n%s", out)
	}
}
