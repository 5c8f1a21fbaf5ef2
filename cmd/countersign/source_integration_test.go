//go:build integration

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/git"
	"countersign/pipeline"
	"countersign/pipeline/load"
	"countersign/pipeline/load/loadtest"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
)

// TestSourceOfAnArtifact signs and publishes an artifact of a team's commit, by the Vault and the registry of the environment, and
// fetches its source.
func TestSourceOfAnArtifact(t *testing.T) {
	env := loadtest.Environment(t)
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		t.Fatal(err)
	}
	dir, name := t.TempDir(), loadtest.FreshName("source")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	place := func(file, text string) string {
		t.Helper()
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	team := filepath.Join(dir, "team")
	if err := git.Init(t.Context(), team); err != nil {
		t.Fatal(err)
	}
	commit := func(text string) string {
		t.Helper()
		place("team/main.go", text)
		out := ""
		for _, args := range [][]string{{"add", "--all"}, {"-c", "user.name=t", "-c", "user.email=t@t.example", "commit", "--quiet", "-m", text}, {"rev-parse", "HEAD"}} {
			if out, err = git.At(team).Run(t.Context(), args...); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	deployed := commit("package deployed\n")
	commit("package later\n")

	module := "\x00asm " + name
	place(fmt.Sprintf("cache/countersign/interfaces/%x.json", sha256.Sum256([]byte(module))),
		`{"calls":{},"function":"`+name+`","reply":{"kind":"string"},"request":{"kind":"string"}}`)
	manifest, err := json.Marshal(load.Manifest{Functions: []load.Built{{Name: name, Target: "@" + name + "//:" + name, Runtime: "wasm",
		Wasm: place("a.wasm", module), Spec: place("a.hcl", "function \""+name+"\" {}\n"), Repository: "//team", Commit: deployed, Ref: "main"}}})
	if err != nil {
		t.Fatal(err)
	}
	build, err := load.Read(place("manifest.json", string(manifest)), os.Getenv("COUNTERSIGN_ENVIRONMENT"))
	if err != nil {
		t.Fatal(err)
	}
	p := publish.New(publish.Options{Environment: env, Builder: pipeline.DefaultBuilder}, build.Sources, progress.NewRecorder(nil))
	p.UseKeys(keys, func(function string) attest.Signer { return keys.Signer(function) })
	if err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	reference := p.Functions()[0].Artifact.String()
	out := filepath.Join(dir, "out")
	command := func() (int, string) {
		var printed bytes.Buffer
		code := run(t.Context(), streams{strings.NewReader(""), &printed, &printed}, []string{"source", reference, "-dir", out, "-repos", place("repos.bzl", "FUNCTIONS = {}\n")})
		return code, printed.String()
	}
	if code, printed := command(); code == exitOK {
		t.Errorf("before it is published: %s", printed)
	}
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, printed := command()
	if code != exitOK || !strings.Contains(printed, "VERIFIED    "+reference) || !strings.Contains(printed, deployed) {
		t.Fatalf("%d: %s", code, printed)
	}
	text, err := os.ReadFile(filepath.Join(out, "main.go"))
	if err != nil || string(text) != "package deployed\n" {
		t.Errorf("%q, %v", text, err)
	}
	if code, printed := command(); code != exitFailure || !strings.Contains(printed, "is there already") {
		t.Errorf("a second time: %d, %s", code, printed)
	}
}
