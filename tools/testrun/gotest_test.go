package testrun

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// source are tests of a package each.
var source = map[string]string{
	"good": `func TestLoud(t *testing.T) { t.Log("not of interest") }
func TestSkipped(t *testing.T) { t.Skip("for a reason") }`,
	"bad": `func TestFine(t *testing.T) { t.Log("not of interest") }
func TestTable(t *testing.T) {
	t.Run("right", func(t *testing.T) { t.Log("not of interest") })
	t.Run("wrong", func(t *testing.T) { t.Error("the reason") })
}`,
	"dead":   `func TestDies(t *testing.T) { go panic("out of the blue"); select {} }`,
	"broken": `func TestBroken(t *testing.T) { undefined() }`,
	"none":   ``,
}

// TestResultsOfGoTest reads what the real go test prints.
func TestResultsOfGoTest(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module m\n")
	for pkg, tests := range source {
		write(t, filepath.Join(dir, pkg, "p.go"), "package p\n")
		if tests != "" {
			write(t, filepath.Join(dir, pkg, "p_test.go"), "package p\nimport \"testing\"\n"+tests)
		}
	}
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	output, _ := cmd.CombinedOutput() // it fails: see above
	var r Results
	var log strings.Builder
	if err := r.Read(strings.NewReader("before\n"+string(output)), &log); err != nil {
		t.Fatal(err)
	}
	failures, lines := strings.Join(r.Failures, "\n"), strings.Join(r.Lines, "\n")
	for _, want := range []string{"--- FAIL: TestTable", "--- FAIL: TestTable/wrong", "the reason", "FAIL\tm/bad",
		"out of the blue", "FAIL\tm/dead", "undefined: undefined", "FAIL\tm/broken"} {
		if !strings.Contains(failures, want) {
			t.Errorf("the failures lack %q:\n%s", want, failures)
		}
	}
	if strings.Contains(failures+lines, "not of interest") || !strings.Contains(log.String(), "not of interest") {
		t.Errorf("what passed is shown, or is not in the log:\n%s\n%s", failures, lines)
	}
	if !strings.HasPrefix(lines, "before\n") || !strings.Contains(lines, "ok  \tm/good") || strings.Contains(lines, "m/none") {
		t.Errorf("lines are %s", lines)
	}
	for name, want := range map[string]Test{
		"TestLoud": {Package: "m/good"}, "TestSkipped": {Package: "m/good", Skipped: true},
		"TestFine": {Package: "m/bad"}, "TestTable": {Package: "m/bad", Failed: true},
	} {
		want.Name = name
		if !slices.ContainsFunc(r.Tests, func(t Test) bool { t.Time = 0; return t == want }) {
			t.Errorf("no %+v among %+v", want, r.Tests)
		}
	}
}

// TestResultsOfGoTestThatWasEnded reads output that stops in the middle of a test.
func TestResultsOfGoTestThatWasEnded(t *testing.T) {
	var r Results
	in := `{"Action":"pass","Package":"m/a","Test":"TestA","Elapsed":1.5}
{"Action":"output","Package":"m/a","Test":"TestB","Output":"half a line"}
{"Action":"output","Package":"m/a","Test":"TestB","Output":", and the rest\n"}
`
	if err := r.Read(strings.NewReader(in), &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"half a line, and the rest", "FAIL\tm/a [it did not end]"}
	if !slices.Equal(r.Failures, want) {
		t.Errorf("failures %q, want %q", r.Failures, want)
	}
	if !slices.Equal(r.Tests, []Test{{Package: "m/a", Name: "TestA", Time: 1500 * time.Millisecond}, {Package: "m/a", Failed: true}}) {
		t.Errorf("tests %+v", r.Tests)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
