package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a Backend whose tasks exist in memory only.
type memory struct {
	mu     sync.Mutex
	tasks  map[string]*Status
	ended  map[string]chan struct{}
	fail   error // of the next Start
	events chan Event
}

func newMemory() *memory {
	return &memory{tasks: map[string]*Status{}, ended: map[string]chan struct{}{}, events: make(chan Event)}
}

func (m *memory) Info() Info { return Info{Address: "127.0.0.1", Port: 4646} }

func (m *memory) Start(_ context.Context, r StartRequest) (StartReply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return StartReply{}, m.fail
	}
	m.tasks[r.TaskID] = &Status{TaskID: r.TaskID, Function: r.Function, State: Running}
	m.ended[r.TaskID] = make(chan struct{})
	return StartReply{Address: "127.0.0.1", Port: 4646, Events: []Event{{TaskID: r.TaskID, Message: "verified"}}}, nil
}

func (m *memory) Status(id string) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.tasks[id]; s != nil {
		return *s, true
	}
	return Status{}, false
}

func (m *memory) List() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Status
	for _, s := range m.tasks {
		list = append(list, *s)
	}
	return list
}

func (m *memory) Wait(ctx context.Context, id string) (Status, error) {
	m.mu.Lock()
	ended := m.ended[id]
	m.mu.Unlock()
	select {
	case <-ended:
		s, _ := m.Status(id)
		return s, nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (m *memory) Stop(_ context.Context, id string, timeout time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tasks[id].State, m.tasks[id].Error = Exited, timeout.String()
	close(m.ended[id])
	return nil
}

func (m *memory) Signal(_, signal string) error {
	return fmt.Errorf("signal %s is not supported", signal)
}

func (m *memory) Stats(id string) (Stats, bool) {
	_, ok := m.Status(id)
	return Stats{CPU: 3 * time.Second, MemoryBytes: 1 << 20}, ok
}

func (m *memory) Subscribe() (<-chan Event, func()) { return m.events, func() {} }

func (m *memory) Forget(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tasks, id)
	return nil
}

// serve runs a host on dir until the test ends or stop is called; stop returns when the socket is gone.
func serve(t *testing.T, dir string, backend Backend) (client *Client, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, dir, backend) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	client = NewClient(dir)
	t.Cleanup(func() { client.Close(); stop() })
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := client.Info(t.Context())
		if err == nil {
			return client, stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("the host does not answer: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTaskLife(t *testing.T) {
	client, _ := serve(t, t.TempDir(), newMemory())
	const id = "alloc/with slash/and?query"
	reply, err := client.Start(t.Context(), StartRequest{TaskID: id, Function: "tax"})
	if err != nil || reply.Port != 4646 || len(reply.Events) != 1 || reply.Events[0].Message != "verified" {
		t.Fatalf("Start: %+v, %v", reply, err)
	}
	if list, err := client.List(t.Context()); err != nil || len(list) != 1 || list[0].TaskID != id {
		t.Errorf("List: %+v, %v", list, err)
	}
	if s, err := client.Status(t.Context(), id); err != nil || s.State != Running || s.Function != "tax" {
		t.Errorf("Status: %+v, %v", s, err)
	}
	if s, err := client.Stats(t.Context(), id); err != nil || s.CPU != 3*time.Second || s.MemoryBytes != 1<<20 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	if err := client.Signal(t.Context(), id, "SIGWINCH"); err == nil || err.Error() != "signal SIGWINCH is not supported" {
		t.Errorf("Signal: %v", err)
	}
	waited := make(chan Status, 1)
	go func() {
		s, _ := client.Wait(context.Background(), id)
		waited <- s
	}()
	if err := client.Stop(t.Context(), id, 3*time.Second); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if s := <-waited; s.State != Exited || s.Error != "3s" {
		t.Errorf("Wait: %+v", s)
	}
	if s, err := client.Wait(t.Context(), id); err != nil || s.State != Exited {
		t.Errorf("a second Wait: %+v, %v", s, err)
	}
	if err := client.Forget(t.Context(), id); err != nil {
		t.Errorf("Forget: %v", err)
	}
	if _, err := client.Wait(t.Context(), id); !errors.Is(err, ErrUnknownTask) {
		t.Errorf("Wait for a forgotten task: %v", err)
	}
}

func TestUnknownTask(t *testing.T) {
	client, _ := serve(t, t.TempDir(), newMemory())
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Status": func() error { _, err := client.Status(ctx, "x"); return err },
		"Wait":   func() error { _, err := client.Wait(ctx, "x"); return err },
		"Stats":  func() error { _, err := client.Stats(ctx, "x"); return err },
		"Stop":   func() error { return client.Stop(ctx, "x", 0) },
		"Signal": func() error { return client.Signal(ctx, "x", "SIGHUP") },
		"Forget": func() error { return client.Forget(ctx, "x") },
	} {
		if err := call(); !errors.Is(err, ErrUnknownTask) {
			t.Errorf("%s: %v, want ErrUnknownTask", name, err)
		}
	}
}

func TestFailedStart(t *testing.T) {
	backend := newMemory()
	client, _ := serve(t, t.TempDir(), backend)
	events := []Event{{Message: "pulled"}}
	for _, test := range []struct {
		fail                    error
		kind                    FailureKind
		unverified, unreachable bool
	}{
		{&Failure{Kind: Refused, Message: "no attestation", Events: events}, Refused, true, false},
		{&Failure{Kind: Unreachable, Message: "registry", Events: events}, Unreachable, false, true},
		{&Failure{Kind: Invalid, Message: "malformed", Events: events}, Invalid, false, false},
		{fmt.Errorf("starting: %w", &Failure{Kind: Refused, Message: "wrapped", Events: events}), Refused, true, false},
		{errors.New("disk full"), Internal, false, false},
	} {
		backend.fail = test.fail
		_, err := client.Start(t.Context(), StartRequest{TaskID: "a"})
		var f *Failure
		if !errors.As(err, &f) || f.Kind != test.kind || f.Message == "" {
			t.Errorf("%v: got %#v", test.fail, err)
			continue
		}
		if f.Unverified() != test.unverified || f.Unreachable() != test.unreachable {
			t.Errorf("%v: unverified %t, unreachable %t", test.fail, f.Unverified(), f.Unreachable())
		}
		if f.Kind != Internal && len(f.Events) != 1 {
			t.Errorf("%v: the events were lost", test.fail)
		}
	}
}

func TestEvents(t *testing.T) {
	backend := newMemory()
	dir := t.TempDir()
	client, stop := serve(t, dir, backend)
	backend.events <- Event{TaskID: "a", Message: "one"}
	backend.events <- Event{TaskID: "a", Message: "two"}

	got := make(chan Event)
	ended := make(chan error, 1)
	go func() { ended <- client.Events(context.Background(), 1, func(e Event) { got <- e }) }()
	if e := <-got; e.Seq != 2 || e.Message != "two" {
		t.Errorf("after 1: %+v", e)
	}
	backend.events <- Event{TaskID: "b", Message: "three"}
	if e := <-got; e.Seq != 3 || e.Message != "three" || e.TaskID != "b" {
		t.Errorf("a live event: %+v", e)
	}
	stop()
	var gone *UnreachableError
	if err := <-ended; !errors.As(err, &gone) {
		t.Errorf("the stream of a stopped host ended with %v", err)
	}
}

func TestEventLogKeepsTheLatest(t *testing.T) {
	log := newEventLog()
	for range keepEvents + 10 {
		log.add(Event{})
	}
	kept, _ := log.since(log.cursor(0))
	if len(kept) != keepEvents || kept[0].Seq != 11 || kept[len(kept)-1].Seq != keepEvents+10 {
		t.Errorf("kept %d events from %d", len(kept), kept[0].Seq)
	}
	for _, after := range []int64{FromNow, keepEvents + 10, 1 << 40} {
		if new, _ := log.since(log.cursor(after)); len(new) != 0 {
			t.Errorf("after %d: %d events, want none", after, len(new))
		}
	}
}

func TestOneHostPerDirectory(t *testing.T) {
	dir := t.TempDir()
	_, stop := serve(t, dir, newMemory())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := Serve(ctx, dir, newMemory()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second host: %v, want that it waits for the lock", err)
	}
	if _, err := openSocket(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "another host answers") {
		t.Errorf("a live host's socket: %v", err)
	}
	stop()
	if _, err := os.Stat(filepath.Join(dir, socketName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stayed behind: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	dead, err := openSocket(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // leaves the file, as SIGKILL does
	if _, err := NewClient(dir).Info(t.Context()); !errors.As(err, new(*UnreachableError)) {
		t.Errorf("asking a dead host: %v", err)
	}
	client, _ := serve(t, dir, newMemory())
	if _, err := client.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	// Longer than the 107 bytes that a socket address has room for.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	client, _ := serve(t, dir, newMemory())
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, socketName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	info, err := client.Info(t.Context())
	tick, tickErr := StartTick(os.Getpid())
	if err != nil || tickErr != nil || info.PID != os.Getpid() || info.StartTick != tick || tick == 0 ||
		info.Version != Version {
		t.Errorf("Info: %+v, %v; tick %d, %v", info, err, tick, tickErr)
	}
}

func TestMayTalk(t *testing.T) {
	for _, test := range []struct {
		peer, self uint32
		ok         bool
	}{{1000, 1000, true}, {0, 1000, true}, {1000, 0, false}, {1001, 1000, false}} {
		if err := mayTalk(test.peer, test.self); (err == nil) != test.ok {
			t.Errorf("peer %d to %d: %v", test.peer, test.self, err)
		}
	}
}

func TestStartTickOfNoProcess(t *testing.T) {
	for _, pid := range []int{-1, 0, 1 << 30} {
		if tick, err := StartTick(pid); err == nil {
			t.Errorf("process %d: tick %d", pid, tick)
		}
	}
}
