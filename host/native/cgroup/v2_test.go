package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// files of a version 2 group that a kernel with the two controllers makes in a new directory.
var files = map[string]string{
	"cgroup.procs": "", "cgroup.kill": "", "cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "\n",
	"memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n", "memory.current": "4096\n",
	"memory.peak": "8192\n", "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 1\n",
	"pids.max": "max\n", "pids.events": "max 7\n",
}

// kernel fills new groups of a version 2 hierarchy in an ordinary directory. without are files that it lacks.
func kernel(t *testing.T, without ...string) func(string) error {
	return func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				return err
			}
		}
		for _, name := range without {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
}

// second is a tree in a version 2 hierarchy that a test can look at.
func second(t *testing.T, mkdir func(string) error) *Tree {
	t.Helper()
	h := hierarchy{mount: filepath.Join(t.TempDir(), "cgroup"), v2: true}
	if err := mkdir(h.mount); err != nil {
		t.Fatal(err)
	}
	rmdir = os.RemoveAll
	t.Cleanup(func() { rmdir = unix.Rmdir })
	return &Tree{at: hierarchies{memory: h, tasks: h}, owner: Owner{Kind: "k", Life: "1-1"}, mkdir: mkdir}
}

func content(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestVersion2(t *testing.T) {
	tree := second(t, kernel(t))
	g, err := tree.Make("a.quote", "", Limits{Memory: 64 << 20, Tasks: 256})
	if err != nil {
		t.Fatal(err)
	}
	mount := tree.at.memory.mount
	dir := filepath.Join(mount, "countersign.slice", "k.1-1", "a.quote")
	if g.memory.dir != dir || len(g.places()) != 1 {
		t.Errorf("the group is at %v", g.places())
	}
	for _, above := range []string{"", "countersign.slice", "countersign.slice/k.1-1"} {
		if got := content(t, mount, above, "cgroup.subtree_control"); got != "+memory +pids" {
			t.Errorf("%q hands down %q", above, got)
		}
	}
	for name, want := range map[string]string{"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1",
		"pids.max": "256", "cgroup.subtree_control": ""} {
		if got := content(t, dir, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if u, err := g.Usage(); err != nil || u != (Usage{Memory: 4096, Peak: 8192, OOMs: 1, Refused: 7}) {
		t.Errorf("usage %+v, %v", u, err)
	}
	if err := errors.Join(g.Add(os.Getpid()), g.Kill()); err != nil || content(t, dir, "cgroup.kill") != "1" {
		t.Errorf("killing it: %v", err)
	}
	if err := errors.Join(g.Remove(), tree.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the owner's directory is left: %v", err)
	}
}

// TestBorrowed sets the limits of a directory that Nomad made for the task, and leaves it to Nomad.
func TestBorrowed(t *testing.T) {
	tree := second(t, kernel(t))
	ready := filepath.Join(tree.at.memory.mount, "task.scope")
	if err := tree.mkdir(ready); err != nil {
		t.Fatal(err)
	}
	g, err := tree.Make("a.quote", ready, Limits{Memory: 64 << 20, Tasks: 256})
	if err != nil || g.memory.dir != ready || content(t, ready, "memory.max") != "67108864" || content(t, ready, "pids.max") != "256" {
		t.Fatalf("got %+v, %v", g, err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ready); err != nil {
		t.Errorf("somebody else's group was removed: %v", err)
	}
	for _, h := range []hierarchies{
		{memory: hierarchy{"/x", false}, tasks: hierarchy{"/y", false}}, {memory: hierarchy{"/x", true}, tasks: hierarchy{"/y", false}},
	} {
		v1 := &Tree{at: h, owner: tree.owner, mkdir: func(string) error { return unix.EROFS }}
		if g, err := v1.Make("a.quote", ready, Limits{Memory: 1 << 20, Tasks: 1}); err == nil {
			t.Errorf("a version 2 directory was taken where a controller is in version 1: %+v", g)
		}
	}
}

// TestRefusals makes groups where something is missing or not permitted: there is never a group without its limits.
func TestRefusals(t *testing.T) {
	plain := kernel(t)
	tests := []struct {
		name  string
		mkdir func(string) error
		want  string
	}{
		{"no memory controller", kernel(t, "memory.max"), "subtree_control"},
		{"no pids controller", kernel(t, "pids.max"), "subtree_control"},
		{"no way to end all", kernel(t, "memory.oom.group"), "subtree_control"},
		{"no groups below", kernel(t, "cgroup.subtree_control"), "subtree_control"},
		{"read-only", func(dir string) error {
			if filepath.Base(dir) == "cgroup" {
				return plain(dir)
			}
			return unix.EROFS
		}, "must run as root"},
		{"not root", func(dir string) error {
			if filepath.Base(dir) == "a" {
				return unix.EACCES
			}
			return plain(dir)
		}, "must run as root"},
		{"processes in the way", func(dir string) error {
			if filepath.Base(dir) == "a" {
				return unix.EBUSY
			}
			return plain(dir)
		}, "move the container's processes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := second(t, tt.mkdir).Make("a", "", Limits{Memory: 64 << 20, Tasks: 256})
			var refused *UnsupportedError
			if !errors.As(err, &refused) || g != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want %q", g, err, tt.want)
			}
		})
	}
	if g, err := second(t, kernel(t, "memory.swap.max", "memory.peak", "pids.events")).Make("a", "", Limits{Memory: 64 << 20, Tasks: 2}); err != nil {
		t.Errorf("without files that not every kernel has: %v", err)
	} else if u, err := g.Usage(); err != nil || u.Peak != 4096 {
		t.Errorf("without files that not every kernel has: %+v, %v", u, err)
	}
}

// TestHolds reads a limit back: the kernel may have set another one.
func TestHolds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limit")
	for content, ok := range map[string]bool{"67108864\n": true, "67104768\n": true, "67112960\n": false, "max\n": false,
		"9223372036854771712\n": false, "18446744073709551615\n": false, "": false, "-1\n": false, "a lot\n": false} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := holds(file, 64<<20); (err == nil) != ok {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := holds(file+"x", 64<<20); err == nil {
		t.Error("a limit that can't be read holds")
	}
}

func TestFind(t *testing.T) {
	unified := filepath.Join(t.TempDir(), "with blank")
	if err := kernel(t)(unified); err != nil {
		t.Fatal(err)
	}
	hybrid := filepath.Join(t.TempDir(), "unified")
	if err := kernel(t)(hybrid); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hybrid, "cgroup.controllers"), []byte("pids\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	escaped := strings.ReplaceAll(unified, " ", `\040`)
	v1 := "30 29 0:26 / /cg/memory rw shared:3 - cgroup cgroup rw,memory\n"
	for name, tt := range map[string]struct {
		mounts string
		want   hierarchies
	}{
		"version 1": {v1 + "31 29 0:27 / /cg/pids rw - cgroup cgroup rw,pids\n", hierarchies{hierarchy{"/cg/memory", false}, hierarchy{"/cg/pids", false}}},
		"one mount": {"30 29 0:26 / /cg/both rw - cgroup cgroup rw,memory,pids\n", hierarchies{hierarchy{"/cg/both", false}, hierarchy{"/cg/both", false}}},
		"version 2": {"garbage\n1 2 3 - x\n30 29 0:26 / " + escaped + " rw - cgroup2 cgroup2 rw\n", hierarchies{hierarchy{unified, true}, hierarchy{unified, true}}},
		"mixed":     {v1 + "31 29 0:27 / " + hybrid + " rw - cgroup2 cgroup2 rw\n", hierarchies{hierarchy{"/cg/memory", false}, hierarchy{hybrid, true}}},
	} {
		if got, err := find(tt.mounts); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
	for name, mounts := range map[string]string{
		"none": "", "no pids": v1, "no controllers": "30 29 0:26 / /nowhere rw - cgroup2 cgroup2 rw\n",
	} {
		var refused *UnsupportedError
		if got, err := find(mounts); !errors.As(err, &refused) || !strings.Contains(err.Error(), "mount cgroup2") {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
