package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files are of a checkout with two modules.
var files = map[string]string{
	"go.mod":               "module m\n",
	"a/a.go":               "package a\nconst A = 1\n",
	"a/a_test.go":          "package a\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
	"b/b.go":               "package b\nimport \"m/a\"\nconst B = a.A\n",
	"b/b_test.go":          "package b\nimport (\n\"os\"\n\"testing\"\n)\nfunc TestB(t *testing.T) {\n\tif os.WriteFile(\"ran\", nil, 0o600) == nil && B != 1 {\n\t\tt.Error(\"changed\")\n\t}\n}\n",
	"c/c.go":               "package c\nimport _ \"m/b\"\n",
	"c/c_test.go":          "package c\nimport \"testing\"\nfunc TestC(t *testing.T) {}\n",
	"d/d_test.go":          "package d\nimport \"testing\"\nfunc TestD(t *testing.T) {}\n",
	"d/testdata/x/go.mod":  "module x\n",
	"d/testdata/x/main.go": "package main\nfunc main() {}\n",
	"other/go.mod":         "module o\n",
	"other/e/e_test.go":    "package e\nimport \"testing\"\nfunc TestE(t *testing.T) {}\n",
	"docs/text.md":         "text\n",
}

func checkout(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	for name, text := range files {
		write(t, name, text)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"},
		{"-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "all"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAChangeTouches(t *testing.T) {
	for name, tt := range map[string]struct {
		change    string
		importers string
		want      string
	}{
		"nothing":             {"", "direct", ""},
		"a document":          {"docs/text.md", "all", ""},
		"direct importers":    {"a/a.go", "direct", "m/a m/b"},
		"all importers":       {"a/a.go", "all", "m/a m/b m/c"},
		"no importers":        {"a/new.go", "none", "m/a"},
		"testdata":            {"d/testdata/x/main.go", "direct", "m/d"},
		"a module of its own": {"other/e/e_test.go", "direct", "o/e"},
		"dependencies":        {"go.mod", "none", "m/a m/b m/c m/d"},
	} {
		t.Run(name, func(t *testing.T) {
			checkout(t)
			if text := files[tt.change]; tt.change != "" {
				if text == "" {
					text = "package a\n"
				}
				write(t, tt.change, text+"\n")
			}
			targets, err := choose(t.Context(), "HEAD", tt.importers, nil)
			var got []string
			for _, target := range targets {
				got = append(got, target.name)
			}
			if slices.Sort(got); err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("chosen %v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// TestFailuresAreKept runs a test that a change breaks.
func TestFailuresAreKept(t *testing.T) {
	checkout(t)
	write(t, "a/a.go", "package a\nconst A = 2\n")
	failures, err := run(t.Context(), 2, "HEAD", "direct", nil)
	if err != nil || failures != 4 { // in each way
		t.Errorf("%d failures, %v", failures, err)
	}
	kept, _ := filepath.Glob(logs + "/m_b-*-[12].log")
	if len(kept) != 8 {
		t.Errorf("kept %v", kept)
	}
	if _, err := os.Stat("b/ran"); err != nil {
		t.Error("the test did not run in its directory")
	}
}
