package control

import (
	"context"
	"sync"
)

// keepEvents is how many events a host keeps for a driver that reconnects.
const keepEvents = 512

// eventLog numbers events and keeps the latest.
type eventLog struct {
	mu      sync.Mutex
	last    uint64 // Seq of the newest event
	kept    []Event
	changed chan struct{} // closed and replaced with every event
}

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

// collect adds events until ctx ends or the channel closes.
func (l *eventLog) collect(ctx context.Context, events <-chan Event) {
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-events:
			if !ok {
				return
			}
			l.add(event)
		}
	}
}

func (l *eventLog) add(event Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	event.Seq = l.last
	if len(l.kept) == keepEvents {
		l.kept = append(l.kept[:0:0], l.kept[1:]...) // a copy: readers may hold the old slice
	}
	l.kept = append(l.kept, event)
	close(l.changed)
	l.changed = make(chan struct{})
}

// cursor translates what a client asked for into the Seq after which it wants events.
func (l *eventLog) cursor(after int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after < 0 || uint64(after) > l.last { // a Seq that was never given out is another host's
		return l.last
	}
	return uint64(after)
}

// since returns the kept events after seq, oldest first, and a channel that closes with the next one.
func (l *eventLog) since(seq uint64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.last - uint64(len(l.kept)) // Seq before the oldest one kept
	if seq < first {
		seq = first
	}
	return l.kept[seq-first:], l.changed
}
