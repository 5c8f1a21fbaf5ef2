package cluster

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2"
	for name, c := range map[string]struct {
		line string
		want procInfo
		ok   bool
	}{
		"plain":       {"12 (sleep)" + tail, procInfo{12, 7, 'S', 4242}, true},
		"parentheses": {"12 (a) R 1 (b c)" + tail, procInfo{12, 7, 'S', 4242}, true},
		"short":       {"12 (sleep) S 7", procInfo{}, false},
		"no command":  {"12 sleep S 7", procInfo{}, false},
		"empty":       {"", procInfo{}, false},
	} {
		got, err := parseStat([]byte(c.line))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestMountsBelow(t *testing.T) {
	mounts := parseMounts("22 1 0:1 / / rw - ext4 /dev/x rw\n" +
		"30 22 0:2 / /c/data\\040x rw,noexec shared:1 - tmpfs tmpfs rw\n" +
		"31 22 0:3 / /c/data\\040x/in rw - tmpfs tmpfs rw\n" +
		"32 22 0:4 / /cc rw - tmpfs tmpfs rw\n" +
		"33 22 0:5 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n" + "garbage\n")
	if got, want := below(mounts, "/c"), []string{"/c/data x/in", "/c/data x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(mounts) != 5 || mounts[4].kind != "cgroup2" {
		t.Errorf("got %+v", mounts)
	}
}

// helper starts a shell that runs script with the cluster's marker or without, and waits for its first line.
func helper(t *testing.T, env []string, script string) *exec.Cmd {
	t.Helper()
	return startHelper(t, exec.Command("/bin/sh", "-c", script), env)
}

func startHelper(t *testing.T, cmd *exec.Cmd, env []string) *exec.Cmd {
	t.Helper()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestEndMembers(t *testing.T) {
	d := dir{t.TempDir()}
	s := testState(t, d)
	stranger := helper(t, []string{"COUNTERSIGN_CLUSTER=" + s.ID + "0"}, "echo up; sleep 100")
	helper(t, []string{s.marker()}, "trap '' TERM; echo up; while :; do sleep 1; done")
	// One that hides: another environment, another session, and a parent that the marker tells.
	helper(t, []string{s.marker()},
		"setsid env -i /bin/sh -c 'echo up; trap \"\" TERM; while :; do sleep 1; done' & wait")
	before, err := findLeftover(d, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Processes) < 4 || slices.Contains(before.Processes, stranger.Process.Pid) {
		t.Errorf("processes of the cluster are %v; %d is none", before.Processes, stranger.Process.Pid)
	}
	if err := endMembers(context.Background(), d, s); err != nil {
		t.Fatal(err)
	}
	for _, pid := range before.Processes { // the one that hides is an orphan now, which nothing marks
		if p, err := readProc(pid); err == nil && !p.dead() {
			t.Errorf("process %d lives on", pid)
		}
	}
	if after, err := findLeftover(d, s); err != nil || !after.None() {
		t.Errorf("left: %+v, %v", after, err)
	}
	if p, err := readProc(stranger.Process.Pid); err != nil || p.dead() {
		t.Error("a process that is not of the cluster was ended")
	}
}

func TestRecordNamesOneProcess(t *testing.T) {
	cmd := helper(t, nil, "trap '' TERM; echo up; while :; do sleep 0.1; done")
	p, err := readProc(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	rec := record{Name: "x", PID: p.pid, StartTick: p.startTick, BootID: bootID()}
	if !rec.alive() {
		t.Fatal("a living process is taken for dead")
	}
	for name, other := range map[string]record{
		"reused PID":   {PID: p.pid, StartTick: p.startTick - 1, BootID: rec.BootID},
		"another boot": {PID: p.pid, StartTick: p.startTick, BootID: "x"},
		"no process":   {},
	} {
		if other.alive() || other.signal(syscall.SIGKILL) {
			t.Errorf("%s: taken for the process", name)
		}
	}
	if err := rec.stop(context.Background(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if rec.alive() { // it is a zombie until this test waits for it
		t.Error("a process that ignores SIGTERM lives on")
	}
}

func TestSpawnKeepsTheCallersEnvironmentOut(t *testing.T) {
	d := dir{t.TempDir()}
	if err := d.prepare(); err != nil {
		t.Fatal(err)
	}
	s := testState(t, d)
	t.Setenv("VAULT_TOKEN", "secret")
	t.Setenv("COUNTERSIGN_CLUSTER", "another")
	c, err := d.spawn(record{Name: "env"}, s, "/bin/sh",
		[]string{"-c", "env; echo EXTRA=$EXTRA; exec sleep 100"}, []string{"EXTRA=1"})
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := d.record("env"); err != nil || rec.PID != c.PID || !rec.alive() {
		t.Errorf("the record is %+v, %v", rec, err)
	}
	if sid, err := syscall.Getpgid(c.PID); err != nil || sid != c.PID {
		t.Errorf("it is in process group %d, %v", sid, err)
	}
	// While the shell becomes sleep, its environment can't be read.
	for deadline := time.Now().Add(10 * time.Second); d.lastLines("env", 1) != "EXTRA=1" || !hasMarker(c.PID, s.marker()); {
		if time.Now().After(deadline) {
			t.Fatalf("it has no marker, or its environment is not this one:\n%s", d.lastLines("env", 100))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := c.stop(context.Background(), time.Second); err != nil {
		t.Fatal(err)
	}
	<-c.exited
	log, err := os.ReadFile(d.logFile("env"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(log), "\n")
	if slices.Contains(lines, "VAULT_TOKEN=secret") || !slices.Contains(lines, "EXTRA=1") {
		t.Errorf("its environment was\n%s", log)
	}
}

// TestCgroupsOfHosts finds what a host that was killed left of a native function, and no other cluster's.
func TestCgroupsOfHosts(t *testing.T) {
	const ours, theirs = "0a0a0a0a-0000-4000-8000-000000000001", "0a0a0a0a-0000-4000-8000-000000000002"
	for _, kind := range []string{"cgroup", "cgroup2"} {
		m := mount{point: t.TempDir(), kind: kind}
		host := filepath.Join(m.point, map[string]string{"cgroup": "countersign", "cgroup2": "countersign.slice"}[kind], "k.1-1")
		for _, name := range []string{ours + ".quote_1", theirs + ".quote_1"} {
			if err := os.MkdirAll(filepath.Join(host, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		got := dir{root: t.TempDir()}.cgroups([]mount{m}, &state{Allocations: []string{ours}})
		if want := []string{filepath.Join(host, ours+".quote_1")}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}
