package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// files are of a checkout with checks that tests notice, and one that none does.
var files = map[string]string{
	"go.mod": "module m\n",
	"a/a.go": `package a

// Open refuses what is not small, and what is not even.
func Open(n int) bool {
	if n > 9 {
		return false
	}
	if n%2   != 0 {
		return false
	}
	note(n)
	return n != 4
}

var Noted int

func note(n int) { Noted = n }
`,
	"a/a_test.go": `package a

import "testing"

func TestSmall(t *testing.T) {
	if Open(12) {
		t.Error("large")
	}
}

func TestFour(t *testing.T) {
	if Open(4) || Noted != 4 {
		t.Error("four, or not noted")
	}
}

func TestSkipped(t *testing.T) { t.Skip("not here") }

func TestFails(t *testing.T) { t.Error("always") }
`,
	"b/b.go":      "package b\n\nimport \"m/a\"\n\nfunc Twice(n int) bool { return a.Open(2 * n) }\n",
	"b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(6) {\n\t\tt.Error(\"large\")\n\t}\n}\n",
	"checks/a.txt": `# A comment.

check: small
why: what is large
file: a/a.go
test: ./a TestSmall
test: ./b TestTwice
! if n > 9 {

check: four
why: four
file: a/a.go
test: ./a TestFour
-return n != 4
+yes := true
+return yes

check: noted
why: what nobody knows of
file: a/a.go
test: ./a TestFour
! note(n)

check: early
why: everything
file: a/a.go
test: ./a TestFour
> return true
 if n > 9 {

check: large
why: what is large, from the same line
file: a/a.go
test: ./a TestSmall
! if n > 9 {
`,
}

func checkout(t *testing.T, more map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	for _, list := range []map[string]string{files, more} {
		for name, text := range list {
			write(t, name, text)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "all"}} {
		gitDoes(t, args...)
	}
}

func gitDoes(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)
	if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
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

// judged runs the checks of the checkout and returns what is printed.
func judged(t *testing.T, base, run string) (ok bool, out string) {
	t.Helper()
	var b strings.Builder
	ok, err := options{lists: "checks", base: base, run: regexp.MustCompile(run), jobs: 2}.all(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return ok, b.String()
}

func TestMutantsAreKilled(t *testing.T) {
	checkout(t, nil)
	before := files["a/a.go"]
	if ok, out := judged(t, "", ""); !ok || !strings.Contains(out, "all of 5 mutants were killed") || strings.Count(out, "\n") != 1 {
		t.Errorf("%v: %s", ok, out)
	}
	if text, err := os.ReadFile("a/a.go"); err != nil || string(text) != before {
		t.Errorf("the checkout was changed: %v", err)
	}
	if left, err := filepath.Glob("*/" + switchFile); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestWhatIsReported has entries of each kind that has to be reported.
func TestWhatIsReported(t *testing.T) {
	entry := func(test, hunk string) string {
		return "why: something\nfile: a/a.go\ntest: " + test + "\n" + hunk + "\n"
	}
	entries := map[string]struct{ entry, want string }{
		"survives":          {entry("./a TestSmall", "! if n%2 != 0 {"), "SURVIVED"},
		"survives replaced": {entry("./a TestSmall", "-if n%2 != 0 {\n+if n%3 != 0 {"), "SURVIVED"},
		"one test notices":  {entry("./a TestSmall\ntest: ./a TestFour", "! if n > 9 {"), "SURVIVED"},
		"is not there":      {entry("./a TestSmall", "! if n > 8 {"), "0 places of a/a.go"},
		"is there twice":    {entry("./a TestSmall", "-return false"), "2 places of a/a.go"},
		"file is not there": {strings.Replace(entry("./a TestSmall", "! if n > 9 {"), "a/a.go", "a/b.go", 1), "no such file"},
		"does not compile":  {entry("./a TestSmall", "-return n != 4\n+return nobody"), "undefined: nobody"},
		"test is not there": {entry("./a TestNone", "! if n > 9 {"), "does not run"},
		"test is skipped":   {entry("./a TestSkipped", "! if n > 9 {"), "SKIP"},
		"test fails anyhow": {entry("./a TestFails", "! if n > 9 {"), "FAIL"},
		"package not there": {entry("./c TestSmall", "! if n > 9 {"), "do not compile"},
		"test does not end": {entry("./a TestSmall", "-if n > 9 {\n+if n > 9 { panic(\"panic: test timed out after 5m0s\")"), "does not end"},
	}
	var list []string
	for name, e := range entries {
		list = append(list, "check: "+name+"\n"+e.entry)
	}
	checkout(t, map[string]string{"checks/a.txt": strings.Join(list, "\n")})
	ok, out := judged(t, "", "")
	if want := "FAIL\t3 of 12 mutants survived, 9 are broken"; ok || !strings.Contains(out, want) {
		t.Errorf("%v; want %s", ok, want)
	}
	for name, e := range entries {
		i := strings.Index(out, "  "+name+" (")
		line, _, _ := strings.Cut(out[max(i, 0):], "\n")
		state, _, _ := strings.Cut(out[max(i-9, 0):], " ")
		if i < 0 || !strings.Contains(state+line, e.want) {
			t.Errorf("%s: %s %s; want %q", name, state, line, e.want)
		}
	}
}

func TestListsThatAreRefused(t *testing.T) {
	good := "check: it\nwhy: something\nfile: a/a.go\ntest: ./a TestSmall\n! if n > 9 {\n"
	for name, text := range map[string]string{
		"no name":           strings.Replace(good, "check: it\n", "", 1),
		"no reason":         strings.Replace(good, "why: something\n", "", 1),
		"no file":           strings.Replace(good, "file: a/a.go\n", "", 1),
		"a file elsewhere":  strings.Replace(good, "a/a.go", "../a.go", 1),
		"no test":           strings.Replace(good, "test: ./a TestSmall\n", "", 1),
		"tests of a kind":   strings.Replace(good, "TestSmall", "Test.*", 1) + "x",
		"no package":        strings.Replace(good, "./a TestSmall", "TestSmall", 1),
		"no change":         strings.Replace(good, "! if", " if", 1),
		"no condition":      strings.Replace(good, "! if n > 9 {", "! n := 9", 1),
		"an unknown key":    "who: me\n" + good,
		"a key in the code": strings.Replace(good, "! if", " }\nwhy: more\n! if", 1),
		"twice":             good + "\n" + good,
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.txt"), text)
		if list, err := readLists(dir); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
	if _, err := readLists(t.TempDir()); err == nil {
		t.Error("no list at all")
	}
}

// TestWhatAChangeTouches takes the checks whose file, tests or entry a change touches.
func TestWhatAChangeTouches(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"nothing":            {"", "", ""},
		"a document":         {"README.md", "text", ""},
		"the file":           {"a/a.go", files["a/a.go"] + "\n", "early four large noted small"},
		"a test":             {"b/b_test.go", files["b/b_test.go"] + "\n", "small"},
		"a new test":         {"b/c_test.go", "package b\n", "small"},
		"what a test reads":  {"b/testdata/x/y", "text", "small"},
		"the file's package": {"a/b.go", "package a\n", ""},
		"an entry":           {"checks/a.txt", strings.Replace(files["checks/a.txt"], "why: four", "why: it is even", 1), "four"},
		"dependencies":       {"go.mod", "module m\n\n", "early four large noted small"},
	} {
		t.Run(name, func(t *testing.T) {
			checkout(t, nil)
			if tt.file != "" {
				write(t, tt.file, tt.text)
			}
			all, err := readLists("checks")
			if err != nil {
				t.Fatal(err)
			}
			list, _, err := touched(t.Context(), all, "checks", "HEAD")
			if got := names(list); err != nil || got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func names(list []check) string {
	var all []string
	for _, c := range list {
		all = append(all, c.name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestBase finds what a branch, and what main itself, is compared with.
func TestBase(t *testing.T) {
	checkout(t, nil)
	commit := func(file string) string {
		t.Helper()
		write(t, file, file+strings.Repeat("x", len(read(t, file))+1))
		gitDoes(t, "add", "-A")
		gitDoes(t, "commit", "-q", "-m", file)
		head, err := git(t.Context(), "rev-parse", "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	want := func(when, want string) {
		t.Helper()
		if got := baseOf(t.Context()); got != want {
			t.Errorf("%s: %q; want %q", when, got, want)
		}
	}
	want("no end of a piece of work", "")
	first := commit("CHANGELOG.md")
	want("one end", "")
	commit("x")
	commit("CHANGELOG.md")
	want("two ends", first)
	commit("x")
	want("later", first)
	left := commit("x")
	gitDoes(t, "update-ref", "refs/remotes/origin/main", left)
	want("main as it is there", first)
	commit("x")
	want("a branch", left)
	if _, _, err := touched(t.Context(), nil, "checks", "nothing"); err == nil {
		t.Error("a base that is not there")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// TestListsFitTheCode finds the lines of every entry in the checkout, without running anything.
func TestListsFitTheCode(t *testing.T) {
	t.Chdir("../../..")
	all, err := readLists(lists)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if _, err := mutate(read(t, c.file), c); err != nil {
			t.Errorf("%s: %v", c.where, err)
		}
		for _, test := range c.tests {
			text := ""
			sources, _ := filepath.Glob(filepath.Join(test.pkg, "*_test.go"))
			for _, source := range sources {
				text += read(t, source)
			}
			if !strings.Contains(text, "func "+test.name+"(t *testing.T)") {
				t.Errorf("%s: there is no %s", c.where, test)
			}
		}
	}
}
