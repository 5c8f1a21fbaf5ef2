package driver

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"countersign/host/control"
)

// maxQueued bounds the events that wait for Nomad to listen; the oldest go first.
const maxQueued = 1024

// eventQueue holds events until Nomad has taken them: Nomad listens a little after it started the plugin, and again
// after its stream broke.
type eventQueue struct {
	mu      *sync.Mutex
	queued  []*proto.DriverTaskEvent
	changed chan struct{} // holds a value after something was added
}

func newEventQueue() eventQueue {
	return eventQueue{mu: new(sync.Mutex), changed: make(chan struct{}, 1)}
}

func (q *eventQueue) add(event *proto.DriverTaskEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queued) == maxQueued {
		q.queued = q.queued[1:]
	}
	q.queued = append(q.queued, event)
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *eventQueue) take() []*proto.DriverTaskEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.queued
	q.queued = nil
	return taken
}

// giveBack puts events that could not be sent first again.
func (q *eventQueue) giveBack(events []*proto.DriverTaskEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued = append(events, q.queued...)
}

// TaskEvents streams what happens to tasks; Nomad shows it in `nomad alloc status`.
func (d *Driver) TaskEvents(_ *proto.TaskEventsRequest, stream proto.Driver_TaskEventsServer) error {
	for {
		events := d.events.take()
		for i, event := range events {
			if err := stream.Send(event); err != nil {
				d.events.giveBack(events[i:])
				return err
			}
		}
		select {
		case <-d.events.changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// forward passes an event of the host on to Nomad.
func (d *Driver) forward(event control.Event) {
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	allocID, name := splitTaskID(event.TaskID)
	if t := d.tasks.get(event.TaskID); t != nil {
		allocID, name = t.config.AllocId, t.config.Name
	}
	d.events.add(&proto.DriverTaskEvent{
		TaskId:      event.TaskID,
		AllocId:     allocID,
		TaskName:    name,
		Timestamp:   timestamppb.New(event.Time),
		Message:     event.Message,
		Annotations: event.Details,
	})
}

// tell sends an event of the driver's own.
func (d *Driver) tell(taskID, message string, details map[string]string) {
	d.forward(control.Event{TaskID: taskID, Message: message, Details: details})
}

// splitTaskID reads Nomad's form <allocation>/<task>/<invocation>, for a task that is not in the table yet.
func splitTaskID(id string) (allocID, name string) {
	allocID, rest, _ := strings.Cut(id, "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		rest = rest[:i]
	}
	return allocID, rest
}
