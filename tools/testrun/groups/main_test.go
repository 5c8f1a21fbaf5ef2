package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func runGroups(t *testing.T, ctx context.Context, keepGoing bool, groups ...group) (passed bool, out, logs string) {
	t.Helper()
	var b strings.Builder
	r := &run{keepGoing: keepGoing, places: 2, logs: t.TempDir(), out: &b, began: time.Now()}
	passed = r.groups(ctx, groups)
	return passed, b.String(), r.logs
}

func shell(name, script string) group { return group{name, []string{"sh", "-c", script}, waits} }

const passing = `cat <<'END'
{"Action":"output","Package":"m/a","Test":"TestA","Output":"a log\n"}
{"Action":"pass","Package":"m/a","Test":"TestA","Elapsed":1.5}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t1.6s\n"}
{"Action":"pass","Package":"m/a","Elapsed":1.6}
END
`

func TestAllPass(t *testing.T) {
	passed, out, logs := runGroups(t, t.Context(), false, shell("one", passing), shell("two", "echo $GO_TEST_FLAGS"))
	for _, want := range []string{"one | ok  \tm/a\t1.6s", "1.5s  TestA in m/a", "two | -json", "\nok  \tm/a\t1.6s\n", "\nok  \tall groups\t"} {
		if !passed || !strings.Contains(out, want) {
			t.Errorf("passed %t, output without %q:\n%s", passed, want, out)
		}
	}
	if log, err := os.ReadFile(filepath.Join(logs, "one.log")); err != nil || string(log) != "a log\nok  \tm/a\t1.6s\n" {
		t.Errorf("the log is %q, %v", log, err)
	}
}

// TestFailureEndsTheOthers has a group that fails while another would go on, and one that waits for a place.
func TestFailureEndsTheOthers(t *testing.T) {
	failing, waiting := shell("failing", passing+"echo no server; exit 1"), shell("waiting", "trap 'exit 1' INT; sleep 600 & wait")
	began := time.Now()
	passed, out, _ := runGroups(t, t.Context(), false, waiting, failing, shell("late", "exit 0"), shell("later", "exit 0"))
	if passed || time.Since(began) > time.Minute || !strings.Contains(out, "waiting was ended after") {
		t.Errorf("passed %t after %s:\n%s", passed, time.Since(began), out)
	}
	if strings.Count(out, "failing | no server\n") != 2 || !strings.Contains(out, "\nFAIL\tsome groups\t") {
		t.Errorf("the failure is not told again at the end:\n%s", out)
	}
	passed, out, _ = runGroups(t, t.Context(), true, failing, shell("other", "exit 0"))
	if passed || !strings.Contains(out, "other passed") {
		t.Errorf("with -k: passed %t\n%s", passed, out)
	}
}

// TestMeasuringGroupsGoFirst has one that measures and one that waits for its servers: only the one that computes may
// run beside the first.
func TestMeasuringGroupsGoFirst(t *testing.T) {
	dir := t.TempDir()
	measuring := shell("measuring", "cd "+dir+"; touch now; until test -e beside; do sleep 0.01; done; rm now")
	computing := shell("computing", "touch "+dir+"/beside")
	measuring.kind, computing.kind = measures, computes
	if passed, out, _ := runGroups(t, t.Context(), false, computing, shell("waiting", "test ! -e "+dir+"/now"), measuring); !passed {
		t.Error(out)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(errInterrupted) })
	passed, out, _ := runGroups(t, ctx, true, shell("waiting", "trap 'exit 1' INT; sleep 600 & wait"))
	if passed || !strings.Contains(out, "waiting was ended after") || !strings.Contains(out, "interrupted") {
		t.Errorf("passed %t\n%s", passed, out)
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose([]string{"lint", "e2e"}); err != nil || !slices.Equal(names(got), []string{"e2e", "lint"}) {
		t.Errorf("chosen %v, %v", names(got), err)
	}
	if _, err := choose([]string{"none"}); err == nil || !strings.Contains(err.Error(), "there are nodes, cluster") {
		t.Errorf("an unknown group: %v", err)
	}
}
