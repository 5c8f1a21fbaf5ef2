package servers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/terminal"
)

const rootMod = `module example.test/root

go 1.24

replace example.test/root/api => ./api

replace example.test/fork => example.test/other v1.0.0

require (
	example.test/root/api v0.1.0
	example.test/dep v1.2.3
)
`

func recipe() Recipe {
	return Recipe{
		Name: "demo", Version: "v1.0.0", Minimum: "v1.0.0", Module: "example.test/root", Package: "example.test/root",
		Sum: "h1:root", ModSum: "h1:rootmod",
		DropReplaces: []string{"example.test/root/api"},
		Requires:     [][2]string{{"example.test/root/api", "v0.2.0"}},
		Sums:         []string{"example.test/root/api v0.2.0 h1:api"},
	}
}

func TestBuildModule(t *testing.T) {
	mod, sum, err := recipe().buildModule([]byte(rootMod), []byte("example.test/dep v1.2.3 h1:dep\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"module example.invalid/countersign/demo\n", "example.test/root v1.0.0", "example.test/root/api v0.2.0",
		"example.test/dep v1.2.3", "example.test/fork => example.test/other v1.0.0",
	} {
		if !strings.Contains(string(mod), want) {
			t.Errorf("go.mod lacks %q:\n%s", want, mod)
		}
	}
	if strings.Contains(string(mod), "./api") {
		t.Errorf("go.mod still replaces by a directory:\n%s", mod)
	}
	want := "example.test/dep v1.2.3 h1:dep\nexample.test/root v1.0.0 h1:root\n" +
		"example.test/root v1.0.0/go.mod h1:rootmod\nexample.test/root/api v0.2.0 h1:api\n"
	if string(sum) != want {
		t.Errorf("go.sum is\n%s, want\n%s", sum, want)
	}
}

func TestBuildModuleRefuses(t *testing.T) {
	forgotten := recipe()
	forgotten.DropReplaces = nil
	for name, c := range map[string]struct {
		recipe Recipe
		mod    string
		want   string
	}{
		"malformed":      {recipe(), "module (", "go.mod of example.test/root@v1.0.0"},
		"another":        {recipe(), "module example.test/evil\n", "names another module"},
		"directory":      {forgotten, rootMod, "is still replaced by directory ./api"},
		"without module": {recipe(), "go 1.24\n", "names another module"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.recipe.buildModule([]byte(c.mod), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestUnpinned(t *testing.T) {
	before := []byte("b v1 h1:b\na v1 h1:a\n")
	if extra := unpinned(before, []byte("a v1 h1:a\n")); len(extra) != 0 {
		t.Errorf("a shorter go.sum is pinned, got %q", extra)
	}
	if extra := unpinned(before, []byte("a v1 h1:a\nc v1 h1:c\n")); !slices.Equal(extra, []string{"c v1 h1:c"}) {
		t.Errorf("got %q, want the line of c", extra)
	}
}

func TestHash(t *testing.T) {
	base := recipe()
	same := recipe()
	same.CPUSeconds, same.Minimum = 99, "v0.9.0"
	if base.hash() != same.hash() {
		t.Error("what does not change the binary changes the hash")
	}
	seen := map[string]string{base.hash(): "base"}
	for name, change := range map[string]func(*Recipe){
		"version": func(r *Recipe) { r.Version = "v1.0.1" },
		"sum":     func(r *Recipe) { r.Sum = "h1:other" },
		"tags":    func(r *Recipe) { r.Tags = "x" },
		"cgo":     func(r *Recipe) { r.CGO = true },
		"require": func(r *Recipe) { r.Requires[0][1] = "v0.3.0" },
	} {
		r := recipe()
		change(&r)
		if other, dup := seen[r.hash()]; dup {
			t.Errorf("changing %s gives the hash of %s", name, other)
		}
		seen[r.hash()] = name
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		recipe    Recipe
		out, want string
	}{
		{Nomad, "Nomad v1.10.4\nBuildDate 2025-08-12\n", "v1.10.4"},
		{Nomad, "Nomad v1.11.0-beta.1+ent\n", "v1.11.0-beta.1+ent"},
		{Consul, "Consul v1.21.0\nRevision x\n", "v1.21.0"},
		{Vault, "Vault v1.21.2 (abc), built 2025-11-24T02:23:23Z\n", "v1.21.2"},
		{Registry, "registry github.com/distribution/distribution/v3 v3.0.0+unknown\n", "v3.0.0+unknown"},
		{Registry, "/bin/registry github.com/docker/distribution 2.8.3\n", "v2.8.3"},
		{Registry, "registry of weddings 3.0.0\n", ""},
		{Vault, "", ""},
		{Nomad, "Nomad v1.02.3\n", ""},
	} {
		got, err := parseVersion(c.recipe, c.out)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q: got %q, %v; want %q", c.recipe.Name, c.out, got, err, c.want)
		}
	}
}

func TestUnsuitable(t *testing.T) {
	for version, want := range map[string]string{
		"v1.10.0": "", "v1.10.4": "", "v1.12.1": "",
		"v1.9.9": "older than", "v1.10.0-rc.1": "older than", "v2.0.0": "only v1.x", "v1.10.4+ent": "licence",
	} {
		got := unsuitable(Nomad, version)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}

// onPath puts an executable script named name on a PATH of its own, and an empty cache beside it.
func onPath(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if name != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	return dir
}

func TestFindOnPath(t *testing.T) {
	dir := onPath(t, "nomad", "echo Nomad v1.10.9")
	got, err := Find(context.Background(), Nomad)
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "nomad"))
	if err != nil {
		t.Fatal(err)
	}
	if got != (Binary{Name: "nomad", Version: "v1.10.9", Path: real}) {
		t.Errorf("got %+v", got)
	}
}

func TestFindSkipsWhatIsTooOldAndTakesTheBuiltOne(t *testing.T) {
	onPath(t, "nomad", "echo Nomad v1.4.0")
	_, err := Find(context.Background(), Nomad)
	var absent *NotFoundError
	if !errors.As(err, &absent) || !strings.Contains(err.Error(), "older than v1.10.0") {
		t.Fatalf("got %v, want a NotFoundError that tells about the old one", err)
	}
	path, err := Nomad.cached()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Find(context.Background(), Nomad)
	if err != nil || !got.Built || got.Path != path || got.Version != Nomad.Version {
		t.Errorf("got %+v, %v; want the built one", got, err)
	}
}

func TestEnsureTellsWhatTheMachineLacks(t *testing.T) {
	onPath(t, "", "")
	_, err := Ensure(context.Background(), Nomad, nil)
	var failed *BuildError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "no go command") {
		t.Errorf("got %v, want a BuildError about Go", err)
	}
	onPath(t, "go", "exit 1")
	t.Setenv("CC", "")
	if _, err := Ensure(context.Background(), Nomad, nil); err == nil || !strings.Contains(err.Error(), "no gcc") {
		t.Errorf("got %v, want an error about gcc", err)
	}
}

func TestEnsureKeepsTheLogOfAFailedBuild(t *testing.T) {
	onPath(t, "go", `echo "the proxy is away" >&2; exit 1`)
	var out bytes.Buffer
	_, err := Ensure(context.Background(), Consul, terminal.NewLog(&out))
	var failed *BuildError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a BuildError", err)
	}
	log, readErr := os.ReadFile(failed.Log)
	if readErr != nil || !strings.Contains(string(log), "the proxy is away") {
		t.Errorf("log %q, %v", log, readErr)
	}
	if !strings.Contains(err.Error(), failed.Log) || !strings.Contains(err.Error(), "the proxy is away") {
		t.Errorf("the error names neither the log nor the cause: %v", err)
	}
	if !strings.Contains(out.String(), "consul    building v1.21.0 (about ") ||
		!strings.Contains(out.String(), "consul    failed after ") {
		t.Errorf("progress is %q", out.String())
	}
}

func TestEnsureRefusesAModuleWithAnotherChecksum(t *testing.T) {
	onPath(t, "go", `echo '{"Dir":"/nowhere","Sum":"h1:evil","GoModSum":"h1:evil"}'`)
	_, err := Ensure(context.Background(), Consul, nil)
	if err == nil || !strings.Contains(err.Error(), "the module was changed") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestEnsureWaitsForAnotherBuild(t *testing.T) {
	onPath(t, "go", `echo broken; exit 1`)
	path, err := Consul.cached()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := Consul.lock(context.Background(), filepath.Dir(path)+".lock", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	if _, err := Ensure(ctx, Consul, terminal.NewLog(&out)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want to wait until the deadline", err)
	}
	if !strings.Contains(out.String(), "another process is building it") {
		t.Errorf("progress is %q", out.String())
	}
	// The other process finishes its build: this one must take it instead of building again.
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock()
	if got, err := Ensure(context.Background(), Consul, nil); err != nil || got.Path != path {
		t.Errorf("got %+v, %v; want the other's build", got, err)
	}
}

func TestEnviron(t *testing.T) {
	env := Nomad.environ([]string{"HOME=/h", "GOFLAGS=-mod=vendor", "GOOS=wasip1", "GOPROXY=off"})
	want := []string{"HOME=/h", "GOPROXY=off", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1"}
	if !slices.Equal(env, want) {
		t.Errorf("got %q, want %q", env, want)
	}
}

func TestRecipesAreComplete(t *testing.T) {
	for _, r := range All() {
		if r.Sum == "" || r.ModSum == "" || r.CPUSeconds == 0 || versionPatterns[r.Name] == nil ||
			unsuitable(r, r.Version) != "" {
			t.Errorf("recipe of %s is not usable: %+v", r.Name, r)
		}
	}
}
