package host

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/host/control"
	"countersign/host/native/cgroup"
)

// TestHostRemovesWhatAKilledOneLeft starts a host in the data directory of one that was killed while a function ran.
func TestHostRemovesWhatAKilledOneLeft(t *testing.T) {
	f := newFixture(t)
	ended := exec.Command("true")
	if err := ended.Start(); err != nil {
		t.Fatal(err)
	}
	life, err := lifeOf(ended.Process.Pid)
	if err := errors.Join(err, ended.Wait()); err != nil {
		t.Fatal(err)
	}
	owner, err := cgroup.OwnerOf(f.host.config.DataDir, life)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.Open(owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	group, err := tree.Make("alloc.quote", "", cgroup.Limits{Memory: 64 << 20, Tasks: 10})
	if err != nil {
		t.Fatal(err)
	}
	function := exec.Command("sleep", "60")
	if err := function.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { function.Process.Kill(); function.Wait() })
	if err := group.Add(function.Process.Pid); err != nil {
		t.Fatal(err)
	}
	next, err := New(context.Background(), f.host.config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { next.cancel(); next.stopAll() }()
	if err := function.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("what was left ended with %v", err)
	}
	if _, err := group.Usage(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
}

func TestLivesOn(t *testing.T) {
	own, err := lifeOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(own, "-")
	for life, want := range map[string]bool{own: true, pid + "-1": false, "999999999-1": false, "something else": true} {
		if got := livesOn(life); got != want {
			t.Errorf("%q: %t", life, got)
		}
	}
}

// TestNativeWithoutGroups refuses native functions, and says what else there is, on a machine that can't confine them.
func TestNativeWithoutGroups(t *testing.T) {
	f := newFixture(t)
	f.host.groups = groups{absent: &cgroup.UnsupportedError{Detail: "no cgroup hierarchy"}}
	s := &start{host: f.host}
	_, err := s.host.groups.of(s.request)
	failure := s.failure(err)
	if failure.Kind != control.Invalid || !strings.Contains(failure.Message, "no cgroup hierarchy") ||
		!strings.Contains(failure.Message, `runtime = "wasm"`) {
		t.Errorf("got %+v", failure)
	}
}

func TestGroupName(t *testing.T) {
	const alloc = "0a0a0a0a-0000-4000-8000-000000000001"
	for task, want := range map[string]string{"quote/1a2b": ".quote_1a2b", "../../x": "..._.._x", "a b/1": ".a_b_1"} {
		got := groupName(control.StartRequest{AllocID: alloc, TaskID: alloc + "/" + task})
		if got != alloc+want || got != filepath.Base(got) {
			t.Errorf("%q: got %q", task, got)
		}
	}
}
