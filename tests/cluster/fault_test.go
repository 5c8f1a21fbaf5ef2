//go:build integration

package cluster

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stop makes a process hang.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// TestKillServers kills each server in turn, which up repairs without a restart of the others or of the jobs, and then
// all of them and what they started, after which down finds what is left.
func TestKillServers(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	runJob(t, env, "quote")
	allocation := waitRunning(t, env, "quote")
	for _, name := range []string{"vault", "consul", "registry", "nomad"} {
		before := status(t, dir)
		kill(t, pidOf(t, dir, name))
		if status(t, dir).Healthy() {
			t.Errorf("without %s the cluster is said to be healthy", name)
		}
		if again := up(t, dir); !reflect.DeepEqual(again, env) {
			t.Errorf("up after the end of %s says\n%+v, before\n%+v", name, again, env)
		}
		after := status(t, dir)
		for i, s := range after.Servers {
			if s.Name != name && s.PID != before.Servers[i].PID {
				t.Errorf("repairing %s restarted %s", name, s.Name)
			}
		}
		if !after.Healthy() {
			t.Errorf("not repaired: %+v", after.Servers)
		}
		if now := waitRunning(t, env, "quote"); now != allocation {
			t.Errorf("the end of %s ended allocation %s; now it is %s", name, allocation, now)
		}
	}
	seen := look(t, dir)
	for _, s := range status(t, dir).Servers {
		kill(t, s.PID)
	}
	down(t, dir, false)
	seen.gone(t)
}

// TestKillChildrenOfNomad kills everything that Nomad started, but not what its task hides, and takes the cluster down.
func TestKillChildrenOfNomad(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	runJob(t, up(t, dir), "quote")
	seen := look(t, dir)
	nomad := pidOf(t, dir, "nomad")
	killed := 0
	for pid := range seen.processes {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); fields[1] == strconv.Itoa(nomad) {
			kill(t, pid)
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("Nomad has no children")
	}
	down(t, dir, true)
	seen.gone(t)
}

// TestInterruptUp ends `cluster up` at several moments of its work.
func TestInterruptUp(t *testing.T) {
	t.Parallel()
	moments := map[string]func(dir string, output string) bool{
		"with the first state":  func(dir, _ string) bool { return exists(dir, "cluster.json") },
		"with the first server": func(dir, _ string) bool { return anyRecord(dir) },
		"while Vault starts":    func(dir, _ string) bool { return exists(dir, "run", "vault.json") },
		"as Vault makes keys":   func(dir, _ string) bool { return exists(dir, "secrets", "vault-initialising") },
		"with the keys made":    func(dir, _ string) bool { return exists(dir, "secrets", "vault.json") },
		"while Nomad starts":    func(dir, _ string) bool { return exists(dir, "run", "nomad.json") },
		"with Nomad up":         func(_, output string) bool { return strings.Contains(output, "nomad     v") },
	}
	for name, reached := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			output, err := interrupted(t, dir, syscall.SIGINT, reached)
			if err == nil {
				t.Logf("it was up before the signal came:\n%s", output)
			} else if !strings.Contains(output, "interrupted") {
				t.Errorf("it does not say that it was interrupted: %v\n%s", err, output)
			} else {
				look(t, dir).gone(t)
			}
			up(t, dir) // what was half made must not stand in the way
			down(t, dir, true)
		})
	}
}

// TestKillUp kills `cluster up` itself half-way, so that it can't clean up; down does.
func TestKillUp(t *testing.T) {
	t.Parallel()
	for name, reached := range map[string]func(dir string, output string) bool{
		"as Vault makes keys": func(dir, _ string) bool { return exists(dir, "secrets", "vault-initialising") },
		"while Nomad starts":  func(dir, _ string) bool { return exists(dir, "run", "nomad.json") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			if output, err := interrupted(t, dir, syscall.SIGKILL, reached); err == nil {
				t.Fatalf("it was not killed:\n%s", output)
			}
			down(t, dir, false)
			if _, err := interrupted(t, dir, syscall.SIGKILL, reached); err == nil && reached(dir, "") {
				t.Log("the second up was through before")
			}
			up(t, dir)
			down(t, dir, true)
		})
	}
}

// interrupted runs `cluster up` and sends it a signal when the moment is reached.
func interrupted(t *testing.T, dir string, sig syscall.Signal, reached func(dir, output string) bool) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "output")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(cli, "cluster", "up", "-dir", dir, "-no-driver", "-raw-exec")
	cmd.Stdout, cmd.Stderr = file, file
	// As on a terminal, the signal goes to the whole process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	read := func() string {
		data, _ := os.ReadFile(path)
		return string(data)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		select {
		case err := <-ended:
			return read(), err
		default:
		}
		if reached(dir, read()) || time.Now().After(deadline) {
			break
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		return read(), err
	case <-time.After(90 * time.Second):
		cmd.Process.Kill()
		t.Fatalf("it does not end after the signal:\n%s", read())
		return "", nil
	}
}

func exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(parts...))
	return err == nil
}

func anyRecord(dir string) bool {
	records, _ := filepath.Glob(filepath.Join(dir, "run", "*.json"))
	return len(records) > 0
}
