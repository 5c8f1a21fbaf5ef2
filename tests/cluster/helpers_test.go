//go:build integration

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/cluster"
	"countersign/cluster/servers"
)

// cli is the path of the command, built once for all tests.
var cli string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Building the servers may take many minutes on a fresh machine; no test should be charged for it.
	if _, err := servers.EnsureAll(context.Background(), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if bin := os.Getenv("COUNTERSIGN_BIN"); bin != "" { // tools/integration has built it
		cli = filepath.Join(bin, "countersign")
		return m.Run()
	}
	cli = filepath.Join(dir, "countersign")
	if out, err := exec.Command("go", "build", "-o", cli, "countersign/cmd/countersign").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// newDir returns a directory for a cluster that is down when the test ends.
func newDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c")
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "cluster.json")); err != nil {
			return
		}
		if t.Failed() {
			logEnds(t, dir)
		}
		if err := cluster.Down(context.Background(), cluster.DownOptions{Dir: dir, Purge: true}); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

func logEnds(t *testing.T, dir string) {
	logs, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	for _, path := range logs {
		data, _ := os.ReadFile(path)
		t.Logf("end of %s:\n%s", path, data[max(0, len(data)-3000):])
	}
}

// up brings a cluster up whose jobs may be any command.
func up(t *testing.T, dir string) *cluster.Env {
	t.Helper()
	var progress bytes.Buffer
	start := time.Now()
	env, err := cluster.Up(t.Context(), cluster.Options{Dir: dir, NoDriver: true, RawExec: true, Progress: &progress})
	if err != nil {
		t.Fatalf("up: %v\n%s", err, &progress)
	}
	t.Logf("up in %v", time.Since(start).Round(10*time.Millisecond))
	return env
}

// down takes the cluster down and checks that nothing of it is left.
func down(t *testing.T, dir string, purge bool) {
	t.Helper()
	seen := look(t, dir)
	var progress bytes.Buffer
	start := time.Now()
	err := cluster.Down(t.Context(), cluster.DownOptions{Dir: dir, Purge: purge, Progress: &progress})
	if err != nil {
		t.Fatalf("down: %v\n%s", err, &progress)
	}
	t.Logf("down in %v", time.Since(start).Round(10*time.Millisecond))
	seen.gone(t)
}

// machine is what the test itself, not the code under test, sees of a cluster on the machine.
type machine struct {
	dir, marker string
	allocations []string
	processes   map[int]string // PID to start tick
}

// look notes what belongs to a cluster while it is there.
func look(t *testing.T, dir string) machine {
	t.Helper()
	m := machine{dir: dir, processes: map[int]string{}}
	data, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ ID string }
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	m.marker = "COUNTERSIGN_CLUSTER=" + state.ID
	dirs, _ := filepath.Glob(filepath.Join(dir, "data", "nomad*", "alloc", "*-*-*"))
	for _, path := range dirs {
		m.allocations = append(m.allocations, filepath.Base(path))
	}
	for _, pid := range status(t, dir).Leftover.Processes {
		m.processes[pid] = startTick(pid)
	}
	return m
}

// gone fails the test if anything of the cluster is left on the machine.
func (m machine) gone(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(env, []byte(m.marker+"\x00")) {
			cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			t.Errorf("process %s is left: %q", e.Name(), cmdline)
		}
	}
	for pid, tick := range m.processes {
		if tick != "" && startTick(pid) == tick {
			t.Errorf("process %d is left", pid)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), m.dir+"/") {
		t.Errorf("mounts below %s are left:\n%s", m.dir, mounts)
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		for _, id := range m.allocations {
			if err == nil && e.IsDir() && strings.Contains(e.Name(), id) {
				t.Errorf("cgroup %s is left", path)
			}
		}
		return nil
	})
	sockets, _ := filepath.Glob(filepath.Join(m.dir, "tmp", "*"))
	if len(sockets) > 0 {
		t.Errorf("temporary files are left: %q", sockets)
	}
}

// startTick is field 22 of /proc/PID/stat, or "" for a process that is gone or a zombie.
func startTick(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// request asks a server and decodes its answer into out unless that is nil. It returns the status code.
func request(t *testing.T, method, url, token string, in, out any) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil && resp.StatusCode/100 == 2 {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: %v in %q", method, url, err, data)
		}
	}
	return resp.StatusCode
}

// must is request for what has to succeed.
func must(t *testing.T, method, url, token string, in, out any) {
	t.Helper()
	if code := request(t, method, url, token, in, out); code/100 != 2 {
		t.Fatalf("%s %s: status %d", method, url, code)
	}
}

// runJob runs a job whose task starts a process that hides: another session, no environment, no parent.
func runJob(t *testing.T, env *cluster.Env, name string) {
	t.Helper()
	const script = "(setsid env -i /bin/sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' &) ; " +
		"while :; do sleep 1; done"
	task := map[string]any{
		"Name": "t", "Driver": "raw_exec", "KillTimeout": int64(time.Second),
		"Config":     map[string]any{"command": "/bin/sh", "args": []string{"-c", script}},
		"Resources":  map[string]any{"CPU": 50, "MemoryMB": 32},
		"Identities": []any{map[string]any{"Name": "countersign", "Audience": []string{"vault.io"}, "File": true}},
	}
	group := map[string]any{"Name": "g", "Count": 1, "Tasks": []any{task},
		"RestartPolicy": map[string]any{"Delay": int64(time.Second), "Attempts": 3, "Interval": int64(time.Minute),
			"Mode": "delay"}}
	job := map[string]any{"ID": name, "Name": name, "Type": "service", "Datacenters": []string{"dc1"},
		"TaskGroups": []any{group}}
	must(t, http.MethodPut, env.NomadAddr+"/v1/jobs", "", map[string]any{"Job": job}, nil)
	waitRunning(t, env, name)
}

// waitRunning waits until a job has a running allocation, whose ID it returns.
func waitRunning(t *testing.T, env *cluster.Env, name string) string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var allocs []struct{ ID, ClientStatus, DesiredStatus string }
		must(t, http.MethodGet, env.NomadAddr+"/v1/job/"+name+"/allocations", "", nil, &allocs)
		for _, a := range allocs {
			if a.ClientStatus == "running" && a.DesiredStatus == "run" {
				return a.ID
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s does not run: %+v", name, allocs)
		}
	}
}

// pidOf returns the process of a server.
func pidOf(t *testing.T, dir, server string) int {
	t.Helper()
	for _, s := range status(t, dir).Servers {
		if s.Name == server {
			return s.PID
		}
	}
	return 0
}

func status(t *testing.T, dir string) cluster.Status {
	t.Helper()
	s, err := cluster.StatusOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kill ends a process and waits until it is gone.
func kill(t *testing.T, pid int) {
	t.Helper()
	tick := startTick(pid)
	if pid <= 1 || tick == "" {
		t.Fatalf("no process %d to kill", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", strconv.Itoa(pid), err)
	}
	for deadline := time.Now().Add(10 * time.Second); startTick(pid) == tick; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d survives SIGKILL", pid)
		}
	}
}
