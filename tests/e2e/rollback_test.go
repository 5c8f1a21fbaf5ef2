//go:build integration

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/pipeline/load"
)

// pinned is a deployment repository's repos.bzl, and manifests of two states of it that only fit as a whole: in the second, tax
// replies in other words, and quote reads them.
type pinned struct {
	dir, repos string
	manifests  [2]string
}

// commits are those of the two states, for each function.
func commits(state int, function string) string {
	return strings.Repeat(fmt.Sprintf("%x", 1+2*state+len(function)%4/2), 40) // 1 and 2, or 3 and 4
}

func newPinned(t *testing.T) *pinned {
	t.Helper()
	p := &pinned{dir: t.TempDir()}
	p.repos = filepath.Join(p.dir, "repos.bzl")
	p.manifests[0] = p.manifest(t, 0)
	renamed := [2]string{taxReply, "BasisPoints int `json:\"rate\"`"}
	for function, file := range map[string]string{"tax": "tax.go", "quote": "../tax/tax.go"} {
		t.Cleanup(h.Change(t, function, map[string][2]string{file: renamed}))
	}
	p.manifests[1] = p.manifest(t, 1)
	return p
}

// manifest is what a build of tax and quote makes now, as of the commits of a state.
func (p *pinned) manifest(t *testing.T, state int) string {
	t.Helper()
	// Bytes that nothing else has, so that they are attested as of these commits.
	other := func(_, spec string) string { return fmt.Sprintf("# %s %d\n%s", t.Name(), time.Now().UnixNano(), spec) }
	path := h.Manifest(t, other, "quote", "tax")
	m, err := load.ReadManifest(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Functions {
		f := &m.Functions[i]
		f.Commit, f.Repository = commits(state, f.Name), "https://git.example/"+f.Name
	}
	src, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, src, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pin pins a state of both.
func (p *pinned) pin(t *testing.T, state int) {
	t.Helper()
	text := "# Which commit of each repository is deployed.\nFUNCTIONS = {\n"
	for _, name := range []string{"quote", "tax"} {
		text += fmt.Sprintf("    %q: {\n        \"commit\": %q,\n        \"remote\": %q,  # theirs\n    },\n", name, commits(state, name), "https://git.example/"+name)
	}
	if err := os.WriteFile(p.repos, []byte(text+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pins fails the test unless a state of both is pinned, and nothing else of the file changed.
func (p *pinned) pins(t *testing.T, state int) {
	t.Helper()
	got, err := os.ReadFile(p.repos)
	if err != nil {
		t.Fatal(err)
	}
	p.pin(t, state)
	want, err := os.ReadFile(p.repos)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the pins are\n%s\nwant\n%s", got, want)
	}
}

// deploy pins a state and deploys it.
func (p *pinned) deploy(t *testing.T, state int) {
	t.Helper()
	p.pin(t, state)
	if out, code := command(t, "", "deploy", "-manifest", p.manifests[state], "-jobs-dir", filepath.Join(h.Scratch, "jobs")); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
}

// move runs rollback or rollforward, and returns what it said.
func (p *pinned) move(t *testing.T, want int, args ...string) string {
	t.Helper()
	out, code := command(t, "", append(args, "-repos", p.repos, "-jobs-dir", filepath.Join(h.Scratch, "jobs"), "-wait", "1m")...)
	if code != want {
		t.Fatalf("%s: exit code %d, want %d\n%s", args, code, want, out)
	}
	t.Logf("%s\n%s", strings.Join(args, " "), out)
	return out
}

// TestRollback takes one function back, and the caller that would not fit any more with it; forward again; to a release by its
// number; and refuses what is none.
func TestRollback(t *testing.T) {
	deploy(t, examples()...)
	defer deploy(t, examples()...)
	p := newPinned(t)
	p.deploy(t, 0)
	first, _ := latest(t)
	old := [2]string{running(t, "quote").ID, running(t, "tax").ID}
	want := priced(t)
	p.deploy(t, 1)
	if priced(t) != want {
		t.Error("other prices")
	}

	for _, args := range [][]string{{"tax"}, {}, {"-to", fmt.Sprint(first)}} {
		plan := p.move(t, 0, append([]string{"rollback", "-plan-only"}, args...)...)
		if p.pins(t, 1); !regexp.MustCompile(`(?s)quote: .*tax: .*would be pinned.*Plan: 2 to move`).MatchString(plan) {
			t.Errorf("the plan is\n%s", plan)
		}
	}
	if number, _ := latest(t); number != first+1 {
		t.Errorf("release %d after a plan, want %d", number, first+1)
	}
	out := p.move(t, 0, "rollback", "tax")
	p.pins(t, 0)
	if !regexp.MustCompile(`(?s)quote: \w+ -> \w+ of release \d+, commit \w+\n  has to move, too: quote@\w+ was built with tax's .*tax: .*\n  asked for`).MatchString(out) ||
		!strings.Contains(out, fmt.Sprintf("This is release %d.", first+2)) {
		t.Errorf("the rollback says\n%s", out)
	}
	if priced(t) != want || running(t, "quote").ID == old[0] {
		t.Error("after the rollback nothing moved, or prices are others")
	}
	if out, _ := command(t, "", "releases", "-n", "1"); !regexp.MustCompile(`rollback +quote, tax`).MatchString(out) {
		t.Errorf("recorded is\n%s", out)
	}
	if out, _ := command(t, "", "release", "diff", fmt.Sprint(first), fmt.Sprint(first+2)); !strings.Contains(out, "run the same") {
		t.Errorf("what was rolled back to differs from what it was\n%s", out)
	}

	if out = p.move(t, 0, "rollback", "-to", fmt.Sprint(first)); !strings.Contains(out, "Nothing to do") {
		t.Errorf("again it says\n%s", out)
	}
	p.move(t, 0, "rollforward")
	if p.pins(t, 1); priced(t) != want {
		t.Error("other prices")
	}
	for want, args := range map[string][]string{
		"has no release 9999":        {"-to", "9999"},
		"runs in none":               {"nobody"},
		"does not have it":           {"-to", fmt.Sprint(first), "nobody"},
		"release by its number":      {"-to", "-1"},
		"release ":                   {"-to", "1e3"},
		"is not a share":             {"-canary", "0%"},
		"no such file or directory":  {"-repos", p.dir + "/none"},
		"function's name|runs in no": {"-to", "0", "../tax"},
	} {
		out, code := command(t, "", append([]string{"rollback", "-jobs-dir", p.dir}, args...)...)
		if code == 0 || code == 3 || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s: exit code %d, want %q\n%s", args, code, want, out)
		}
	}
}

// The lines of a command after which it is killed.
var (
	movePoints = []string{`\* +route`, `tax +run`, `tax +wait`, `quote +run`, `quote +wait`, `tax +shift`, `tax +promote`, `tax +close`, `\* +narrow`}
	killPoints = map[string][]string{
		"deploy": append([]string{`\* +settle`, `tax +describe`, `\* +check`, `tax +sign`, `tax +publish`, `quote +publish`, `quote +render`, `tax +plan`}, movePoints...),
		"back":   append([]string{`\* +settle`, `\* +choose`, `quote +verify`, `\* +check`, `tax +plan`, `\* +pin`}, movePoints...),
	}
)

// TestKilled kills deploys of something new, and rollbacks of it, with SIGKILL: what answers goes on, no record is lost or
// half-written, and the same command ends what was begun.
func TestKilled(t *testing.T) {
	deploy(t, examples()...)
	defer deploy(t, examples()...)
	p := newPinned(t)
	p.deploy(t, 0)
	want := priced(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for _, points := range killPoints {
		random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	}
	rounds := 1 // each takes a minute
	if os.Getenv("COUNTERSIGN_TEST_EVERY_STEP") != "" {
		rounds = len(killPoints["deploy"])
	}
	for i := range rounds {
		if i > 0 {
			p.manifests[1] = p.manifest(t, 1)
		}
		p.pin(t, 1)
		p.interrupted(t, want, 1, killPoints["deploy"][i], "deploy", "-manifest", p.manifests[1])
		back := killPoints["back"]
		p.interrupted(t, want, 0, back[i%len(back)], "rollback", "tax", "-repos", p.repos)
	}
}

// interrupted kills a command after a line and runs it again. want is what the price is all the time.
func (p *pinned) interrupted(t *testing.T, want string, state int, line string, args ...string) {
	t.Helper()
	args = append(args, "-jobs-dir", filepath.Join(h.Scratch, "jobs"), "-wait", "1m")
	before, _ := latest(t)
	p.kill(t, line, args...)
	if priced(t) != want {
		t.Errorf("%s, killed after %s: other prices", args[0], line)
	}
	if number, _ := latest(t); number > before {
		t.Errorf("%s, killed after %s: release %d was recorded", args[0], line, number)
	}
	out, code := command(t, "", args...)
	if t.Logf("again:\n%s", out); code != 0 {
		t.Fatalf("%s, killed after %s, and run again: exit code %d", args[0], line, code)
	}
	p.pins(t, state)
	if priced(t) != want {
		t.Errorf("%s, killed after %s, and run again: other prices", args[0], line)
	}
	if number, _ := latest(t); number != before+1 {
		t.Errorf("%s, killed after %s, and run again: release %d, want %d", args[0], line, number, before+1)
	}
	p.runs(t, state)
	if again := p.move(t, 0, "rollback", "-to", fmt.Sprint(before+1)); !strings.Contains(again, "Nothing to do") {
		t.Errorf("%s, killed after %s, and run again: it left something", args[0], line)
	}
}

// kill starts a command, and kills it once it has printed a line.
func (p *pinned) kill(t *testing.T, line string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), h.CLI, args...)
	cmd.Env = h.Environ()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen, lines := "", bufio.NewScanner(out)
	for lines.Scan() {
		seen += lines.Text() + "\n"
		if regexp.MustCompile("^" + line + " ").MatchString(lines.Text()) {
			break
		}
	}
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Fatalf("it was not killed, but ended:\n%s", seen)
	}
	t.Logf("%s killed after %q:\n%s", args, line, seen)
}

// runs fails the test unless both functions run as they are in a state, in one release each.
func (p *pinned) runs(t *testing.T, state int) {
	t.Helper()
	for _, name := range []string{"quote", "tax"} {
		job, _, err := nomadClient(t).Jobs().Info(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := job.Meta["commit"]; got != commits(state, name) {
			t.Errorf("the job of %s is of commit %s, want %s", name, got, commits(state, name))
		}
		if got := releases(t, name); len(got) != 1 {
			t.Errorf("%s has healthy releases %v", name, got)
		}
	}
}

// TestRollbackToARetiredKey goes back to what only a retired version of the key attests: it is refused, unless the user has it signed
// again.
func TestRollbackToARetiredKey(t *testing.T) {
	deploy(t, "chaos")
	defer deploy(t, "chaos")
	h.DeployEdited(t, func(_, spec string) string { return strings.Replace(spec, `"2s"`, `"1400ms"`, 1) }, []string{"chaos"})
	latest := rotate(t, "chaos")
	retireBelow(t, "chaos", latest)
	runs := version(t, "chaos")
	p := &pinned{repos: filepath.Join(t.TempDir(), "repos.bzl")}
	p.pin(t, 0)
	if out := p.move(t, 3, "rollback", "chaos"); !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "-resign") {
		t.Errorf("the refusal is\n%s", out)
	}
	if out := p.move(t, 0, "rollback", "chaos", "-resign", "-plan-only"); !strings.Contains(out, fmt.Sprintf("would be signed by key version %d", latest)) {
		t.Errorf("the plan is\n%s", out)
	}
	if p.move(t, 3, "rollback", "chaos"); version(t, "chaos") != runs {
		t.Error("the job is another one")
	}
	p.move(t, 0, "rollback", "chaos", "-resign")
	if version(t, "chaos") == runs || !answers(t) {
		t.Error("it did not go back")
	}
	if out, code := command(t, "", "verify", "chaos"); code != 0 || !strings.Contains(out, fmt.Sprintf("chaos:v%d", latest)) {
		t.Errorf("verify: exit code %d\n%s", code, out)
	}
}
