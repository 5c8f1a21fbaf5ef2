package testrun

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestCommandTellsHowItEnded(t *testing.T) {
	var out strings.Builder
	c := Command{Args: []string{"sh", "-c", "echo $A; nice; exit 3"}, Env: []string{"A=b"}, Idle: true, Nice: 19, Output: &out}
	err := c.Run(t.Context())
	if err == nil || err.Error() != "exit status 3" || out.String() != "b\n19\n" {
		t.Errorf("%v with output %q", err, out.String())
	}
	if err := (Command{Args: []string{"/does/not/exist"}}).Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestNothingIsLeft ends commands that start others: one that cleans up when it is asked to end, and one that does not
// listen. Neither leaves a process, nor does one that ends by itself.
func TestNothingIsLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		script  string
		grace   time.Duration
		cleaned bool
	}{
		"cleans up":      {"sleep 600 & trap 'echo done > cleaned; exit 1' INT; echo up > up; wait", time.Minute, true},
		"does not":       {"trap '' INT; sleep 600 & echo up > up; wait", 50 * time.Millisecond, false},
		"ends by itself": {"sleep 600 & echo up > up; exit 0", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			why := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			c := Command{Args: []string{"sh", "-c", "echo $$ > pid; " + tt.script}, Dir: dir, Grace: tt.grace}
			go func() { ended <- c.Run(ctx) }()
			for len(read(dir, "up")) == 0 {
				time.Sleep(time.Millisecond)
			}
			if name != "ends by itself" {
				cancel(why)
			}
			if err := <-ended; name != "ends by itself" && !errors.Is(err, why) {
				t.Errorf("it says %v", err)
			}
			cancel(nil)
			if got := read(dir, "cleaned") != ""; got != tt.cleaned {
				t.Errorf("it cleaned up: %t, want %t", got, tt.cleaned)
			}
			if group := atoi(read(dir, "pid")); signalGroup(group, syscall.Signal(0)) {
				t.Errorf("process group %d is left", group)
			}
		})
	}
}

func read(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(text))
}

func atoi(s string) (n int) {
	for _, r := range s {
		n = 10*n + int(r-'0')
	}
	return n
}

func TestCpuGroup(t *testing.T) {
	for name, tt := range map[string]struct {
		own, dir string
		unified  bool
	}{
		"unified":          {"0::/user.slice/a\n", "/r/user.slice/a", true},
		"by controller":    {"2:cpu,cpuacct:/b\n1:name=systemd:/\n0::/\n", "/r/cpu,cpuacct/b", false},
		"another's name":   {"2:cpuset:/b\n", "", false},
		"of nothing known": {"", "", false},
	} {
		if dir, unified := cpuGroup("/r", tt.own); dir != tt.dir || unified != tt.unified {
			t.Errorf("%s: %q, unified %t", name, dir, unified)
		}
	}
}

// TestIdleCommandsShareAGroup has two run at the same time: niceness says who of them goes first only within one group.
func TestIdleCommandsShareAGroup(t *testing.T) {
	if g, err := newIdleGroup(); err != nil {
		t.Skip(err)
	} else if err := g.remove(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var both sync.WaitGroup
	for name, other := range map[string]string{"one": "two", "two": "one"} {
		both.Go(func() {
			script := "cat /proc/self/cgroup > " + name + "; touch " + name + ".up; until test -e " + other + ".up; do sleep 0.01; done"
			if err := (Command{Args: []string{"sh", "-c", script}, Dir: dir, Idle: true}).Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	one, _ := cpuGroup("/sys/fs/cgroup", read(dir, "one"))
	two, _ := cpuGroup("/sys/fs/cgroup", read(dir, "two"))
	if mine, _ := cpuGroup("/sys/fs/cgroup", string(own)); one != two || one == mine {
		t.Errorf("they ran in %s and %s, this test in %s", one, two, mine)
	}
	if _, err := os.Stat(one); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
}

// TestIdleGroup has a process in a group that goes on when its command has ended.
func TestIdleGroup(t *testing.T) {
	g, err := newIdleGroup()
	if err != nil {
		t.Skip(err)
	}
	left := exec.Command("sh", "-c", `echo $$ >"$0" && exec sleep 600`, g.procs())
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	defer left.Wait()
	defer left.Process.Kill()
	for read(g.dir, "cgroup.procs") == "" {
		time.Sleep(time.Millisecond)
	}
	if idle := read(g.dir, "cpu.idle"); idle != "1" {
		t.Errorf("cpu.idle is %q", idle)
	}
	if err := g.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
	if err := left.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("what ran in the group was ended: %v", err)
	}
}
