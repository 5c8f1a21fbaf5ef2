package sdk

import (
	"context"
	"sync"
	"time"
)

// invocation is the call that a handler is running. It is the context that the handler gets. Nothing is armed before
// it is asked for: most handlers never look at Done, and a timer costs more than the rest of a small call.
type invocation struct {
	id, caller, traceparent string
	hops                    uint32
	stream                  uint32 // of a native function; 0 in WebAssembly
	deadline                time.Time

	mu    sync.Mutex
	done  chan struct{} // nil until Done is called
	err   error
	timer *time.Timer
}

type invocationKey struct{}

// invocationOf returns the call that ctx belongs to, or nil.
func invocationOf(ctx context.Context) *invocation {
	in, _ := ctx.Value(invocationKey{}).(*invocation)
	return in
}

// Deadline implements context.Context.
func (in *invocation) Deadline() (time.Time, bool) { return in.deadline, !in.deadline.IsZero() }

// Value implements context.Context.
func (in *invocation) Value(key any) any {
	if _, ok := key.(invocationKey); ok {
		return in
	}
	return nil
}

// Done implements context.Context.
func (in *invocation) Done() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.done == nil {
		in.done = make(chan struct{})
		if in.err != nil {
			close(in.done)
		} else if !in.deadline.IsZero() {
			in.timer = time.AfterFunc(time.Until(in.deadline), func() { in.end(context.DeadlineExceeded) })
		}
	}
	return in.done
}

// Err implements context.Context.
func (in *invocation) Err() error {
	in.mu.Lock()
	err := in.err
	in.mu.Unlock()
	if err == nil && !in.deadline.IsZero() && !time.Now().Before(in.deadline) {
		in.end(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
	return err
}

// end makes the context done; only the first call counts. It is called with context.Canceled when the handler has
// returned, so that what it left behind can't make calls in the name of another call.
func (in *invocation) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return
	}
	in.err = err
	if in.done != nil {
		close(in.done)
	}
	if in.timer != nil {
		in.timer.Stop()
	}
}

// callDeadline returns the deadline of ctx in nanoseconds of Unix time, or 0.
func callDeadline(ctx context.Context) int64 {
	if at, ok := ctx.Deadline(); ok {
		return at.UnixNano()
	}
	return 0
}
