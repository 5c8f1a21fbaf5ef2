package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"countersign/host/control"
)

// stopGrace is what a host may take beyond the time that a task has for stopping.
const stopGrace = 10 * time.Second

// errTaskNotFound has the text that Nomad gives to a task that a driver does not know.
var errTaskNotFound = status.Error(codes.NotFound, "task not found for given id")

// task is one task that Nomad has given to this driver and not yet destroyed.
type task struct {
	config *proto.TaskConfig
	handle handle
	client *control.Client

	watching context.Context // ends when the task is destroyed
	destroy  context.CancelFunc

	ended chan struct{} // closed after final was set
	final outcome
}

// outcome is how a task ended.
type outcome struct {
	result *proto.ExitResult
	reason string // why, if it was not stopped; what Nomad shows as the exit message
	at     time.Time
}

// table holds the driver's tasks by ID.
type table struct {
	mu       sync.Mutex
	m        map[string]*task
	starting map[string]bool // IDs that are taken, of tasks that are not there yet
}

func newTable() table { return table{m: map[string]*task{}, starting: map[string]bool{}} }

func (t *table) get(id string) *task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[id]
}

// reserve takes an ID for a task that is about to start; false if it is taken.
func (t *table) reserve(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[id] != nil || t.starting[id] {
		return false
	}
	t.starting[id] = true
	return true
}

// release gives an ID back, whether or not a task was added with it.
func (t *table) release(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.starting, id)
}

// add enters a task under an ID that was reserved.
func (t *table) add(added *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.m[added.config.Id] = added
}

func (t *table) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if removed := t.m[id]; removed != nil {
		removed.destroy()
		delete(t.m, id)
	}
}

func newTask(config *proto.TaskConfig, h handle, client *control.Client) *task {
	t := &task{config: config, handle: h, client: client, ended: make(chan struct{})}
	t.watching, t.destroy = context.WithCancel(context.Background())
	return t
}

// watch waits for the task's end, or for that of its host.
func (t *task) watch() {
	host := t.handle.host()
	for {
		s, err := t.client.Wait(t.watching, t.config.Id)
		switch {
		case t.watching.Err() != nil:
			return
		case err == nil:
			t.end(outcomeOf(s))
			return
		case !host.alive():
			t.end(outcome{at: time.Now(), result: &proto.ExitResult{ExitCode: -1}, reason: fmt.Sprintf(
				"the host process %d died while it ran this function; its log is %s in the driver's data_dir",
				host.pid, hostLog)})
			return
		case errors.Is(err, control.ErrUnknownTask):
			t.end(outcome{at: time.Now(), result: &proto.ExitResult{ExitCode: -1}, reason: fmt.Sprintf(
				"the host process %d does not know this task any more", host.pid)})
			return
		}
		select { // the host is alive and does not answer: it may be busy, or be dying
		case <-t.watching.Done():
		case <-time.After(retryTime):
		}
	}
}

func outcomeOf(s control.Status) outcome {
	return outcome{
		at:     s.EndedAt,
		reason: s.Error,
		result: &proto.ExitResult{ExitCode: int32(s.ExitCode), Signal: int32(s.Signal), OomKilled: s.OOM},
	}
}

func (t *task) end(how outcome) {
	t.final = how
	close(t.ended)
}

func (t *task) hasEnded() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

// stop ends the task; calls in flight have up to timeout. It returns when the task has ended.
func (t *task) stop(ctx context.Context, timeout time.Duration) error {
	if t.hasEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+stopGrace)
	defer cancel()
	err := t.client.Stop(ctx, t.config.Id, timeout)
	if err != nil && !errors.Is(err, control.ErrUnknownTask) && t.handle.host().alive() {
		return fmt.Errorf("stopping task %s: %w", t.config.Id, err)
	}
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping task %s: its end was not seen: %w", t.config.Id, ctx.Err())
	}
}

// forget has the host drop what it keeps of an ended task. A host that is gone keeps nothing.
func forget(ctx context.Context, client *control.Client, id string) error {
	err := client.Forget(ctx, id)
	var gone *control.UnreachableError
	if err == nil || errors.Is(err, control.ErrUnknownTask) || errors.As(err, &gone) {
		return nil
	}
	return fmt.Errorf("removing task %s from the host: %w", id, err)
}
