package host

import (
	"sync"
	"time"

	"countersign/host/control"
)

// events passes what happens to tasks on to the driver. A subscriber that does not keep up loses events: they are for
// people, and a task never waits for a reader.
type events struct {
	mu   sync.Mutex
	subs map[chan control.Event]bool
}

func (e *events) subscribe() (<-chan control.Event, func()) {
	c := make(chan control.Event, 64)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.subs == nil {
		e.subs = map[chan control.Event]bool{}
	}
	e.subs[c] = true
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.subs, c)
	}
}

func (e *events) send(taskID, message string) {
	ev := control.Event{TaskID: taskID, Time: time.Now(), Message: message}
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.subs {
		select {
		case c <- ev:
		default:
		}
	}
}
