package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"countersign/host/control"
)

// TestMain lets this test binary be all three programs: started with the argument `host` it is a host that runs no
// code, started with Nomad's cookie it is the plugin, as it is with Nomad.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "host":
		os.Exit(runHost())
	case os.Getenv(handshake.MagicCookieKey) != "":
		Serve()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// What a test leaves in the data directory to change what its host does, and what the host leaves there.
const (
	fileBreak       = "break"           // the host ends at once
	fileLeave       = "leave-when-idle" // the host ends with its last task
	fileEnvironment = "environment"     // written by the host: its environment, session and process ID
)

// runHost serves the control protocol for tasks that are entries in a map.
func runHost() int {
	var config control.HostConfig
	if err := json.NewDecoder(os.Stdin).Decode(&config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if exists(config.DataDir, fileBreak) {
		fmt.Fprintln(os.Stderr, "starting\nthe call listener's port is taken")
		return 1
	}
	session, _ := unix.Getsid(0)
	facts := fmt.Sprintf("sid=%d pid=%d vault=%s\n%s\n", session, os.Getpid(), config.Vault.Address,
		strings.Join(os.Environ(), "\n"))
	if err := os.WriteFile(filepath.Join(config.DataDir, fileEnvironment), []byte(facts), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h := &mapHost{tasks: map[string]*mapTask{}, events: make(chan control.Event, 8), start: time.Now()}
	if exists(config.DataDir, fileLeave) {
		h.idle = cancel
	}
	if err := control.Serve(ctx, config.DataDir, h); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// mapHost is a control.Backend whose tasks do nothing. What it answers depends on the function's name.
type mapHost struct {
	mu     sync.Mutex
	tasks  map[string]*mapTask
	events chan control.Event
	start  time.Time
	idle   func() // or nil
}

type mapTask struct {
	status control.Status
	ended  chan struct{}
}

func (h *mapHost) Info() control.Info { return control.Info{Address: "127.0.0.1", Port: 4650} }

func (h *mapHost) Start(_ context.Context, r control.StartRequest) (control.StartReply, error) {
	kind := control.FailureKind(r.Function)
	switch kind {
	case control.Refused, control.Unreachable, control.Invalid, control.Internal:
		return control.StartReply{}, &control.Failure{Kind: kind, Message: "start: " + r.Function,
			Events: []control.Event{{Message: "pulled"}}}
	}
	if r.StdoutPath != "" {
		out, err := os.OpenFile(r.StdoutPath, os.O_WRONLY, 0)
		if err != nil {
			return control.StartReply{}, err
		}
		defer out.Close()
		fmt.Fprintf(out, "%s runs with %s\n", r.Function, r.IdentityFile)
	}
	t := &mapTask{ended: make(chan struct{}), status: control.Status{TaskID: r.TaskID, Function: r.Function,
		State: control.Running, StartedAt: time.Now(), Commit: "c0ffee", KeyID: "transit/quote:v2"}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tasks[r.TaskID] = t
	if r.Function == "crash" {
		h.end(t, control.Status{ExitCode: 2, Error: "the module broke the calling convention", OOM: true})
	}
	return control.StartReply{Address: "127.0.0.1", Port: 4650, Events: []control.Event{{Message: "verified"}}}, nil
}

func (h *mapHost) end(t *mapTask, how control.Status) {
	t.status.State, t.status.EndedAt = control.Exited, time.Now()
	t.status.ExitCode, t.status.Error, t.status.OOM = how.ExitCode, how.Error, how.OOM
	close(t.ended)
}

func (h *mapHost) get(id string) *mapTask {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tasks[id]
}

func (h *mapHost) Status(id string) (control.Status, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.tasks[id]; t != nil {
		return t.status, true
	}
	return control.Status{}, false
}

func (h *mapHost) List() []control.Status { return nil }

func (h *mapHost) Wait(ctx context.Context, id string) (control.Status, error) {
	select {
	case <-h.get(id).ended:
		s, _ := h.Status(id)
		return s, nil
	case <-ctx.Done():
		return control.Status{}, ctx.Err()
	}
}

func (h *mapHost) Stop(_ context.Context, id string, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.tasks[id]; t.status.State == control.Running {
		h.end(t, control.Status{})
	}
	return nil
}

func (h *mapHost) Signal(id, signal string) error {
	h.events <- control.Event{TaskID: id, Time: time.Now(), Message: "got " + signal}
	return nil
}

func (h *mapHost) Stats(id string) (control.Stats, bool) {
	_, ok := h.Status(id)
	// One and a half cores, for ever.
	now := time.Now()
	return control.Stats{Time: now, CPU: now.Sub(h.start) * 3 / 2, MemoryBytes: 3 << 20, MemoryMax: 4 << 20}, ok
}

func (h *mapHost) Subscribe() (<-chan control.Event, func()) { return h.events, func() {} }

func (h *mapHost) Forget(id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.tasks, id)
	if len(h.tasks) == 0 && h.idle != nil {
		h.idle()
	}
	return nil
}

// endHost kills the host of a data directory, if one answers, and waits until it is gone.
func endHost(t *testing.T, dir string) {
	t.Helper()
	client := control.NewClient(dir)
	defer client.Close()
	info, err := client.Info(context.Background())
	if err != nil {
		return
	}
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		t.Errorf("ending the host: %v", err)
	}
	eventually(t, "the host's end", func() bool { return !idOf(info).alive() })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
