package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/host/frame"
	"countersign/host/output"

	"github.com/tetratelabs/wazero"
)

const (
	maxMemory      = 4 << 30 // what 32 bits can address
	describeMemory = 256 << 20
	describeTime   = 5 * time.Second
	initializeTime = 15 * time.Second // generous: the machine may be busy building
	messageLimit   = 4 << 10          // bytes of an error message of a function
)

// Instance is one allocation of a function: a pool of WebAssembly instances that share its memory and its name.
type Instance struct {
	options  Options
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	initial  int64 // bytes of memory that a new instance has
	prewarm  int
	pool     *pool
	budget   *budget
	stdout   *output.Stream
	stderr   *output.Stream
	refill   sync.WaitGroup
	guests   guestSet

	cpu      atomic.Int64 // nanoseconds
	inFlight atomic.Int64
	calls    atomic.Int64
	failures atomic.Int64
	ooms     atomic.Int64

	stopping context.Context // ends when calls under way are to be stopped
	stop     context.CancelFunc
	closing  sync.Once
	closeErr error
}

// Stats is what an Instance has used and done so far.
type Stats struct {
	CPU           time.Duration // time on a processor, without that of the functions it called
	MemoryBytes   int64         // held now
	MemoryMax     int64         // the most ever held
	Instances     int
	InFlight      int
	Calls         int64
	Failures      int64
	OOMs          int64
	DroppedOutput int64 // bytes of output that nobody read in time
}

func newInstance(o Options) *Instance {
	o.Concurrency = max(o.Concurrency, 1)
	i := &Instance{options: o, prewarm: min(max(o.Prewarm, 1), o.Concurrency)}
	i.guests.members = map[*guest]struct{}{}
	i.pool = newPool(o.Concurrency, i.instantiate)
	i.budget = &budget{limit: o.Memory / pageSize * pageSize, reclaim: i.pool.evict}
	i.stdout, i.stderr = output.New(o.Stdout), output.New(o.Stderr)
	i.stopping, i.stop = context.WithCancel(context.Background())
	return i
}

// Stats returns the use of resources so far.
func (i *Instance) Stats() Stats {
	return Stats{
		CPU: cpuTime(&i.cpu), MemoryBytes: i.budget.used.Load(), MemoryMax: i.budget.peak.Load(),
		Instances: i.pool.count(), InFlight: int(i.inFlight.Load()),
		Calls: i.calls.Load(), Failures: i.failures.Load(), OOMs: i.ooms.Load(),
		DroppedOutput: i.stdout.Dropped() + i.stderr.Dropped(),
	}
}

// Invoke runs one call and returns the reply's body, which the caller owns. It ends by the deadline of ctx or of in,
// whichever is earlier. Every error is a *countersign.CallError.
func (i *Instance) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	i.inFlight.Add(1)
	defer i.inFlight.Add(-1)
	i.calls.Add(1)
	if at, ok := ctx.Deadline(); !in.Deadline.IsZero() && (!ok || in.Deadline.Before(at)) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, in.Deadline)
		defer cancel()
	}
	body, failure := i.invoke(ctx, in)
	if failure != nil {
		i.failures.Add(1)
		if failure.Code == countersign.CodeOutOfMemory {
			i.ooms.Add(1)
		}
		return nil, failure
	}
	return body, nil
}

func (i *Instance) invoke(ctx context.Context, in *countersign.Invocation) ([]byte, *countersign.CallError) {
	g, err := i.pool.acquire(ctx)
	if err != nil {
		return nil, i.acquireError(ctx, err)
	}
	body, failure := g.handle(ctx, in)
	if g.dead {
		i.replace(g)
	} else {
		i.pool.release(g)
	}
	return body, failure
}

func (i *Instance) acquireError(ctx context.Context, err error) *countersign.CallError {
	name := i.options.Function
	var failure *countersign.CallError
	var short *memoryShortage
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, errClosed):
		return countersign.Errorf(countersign.CodeUnavailable, name, "%w", err)
	case errors.Is(ctx.Err(), context.Canceled):
		return countersign.Errorf(countersign.CodeCanceled, name, "the caller went away while waiting for an instance")
	case errors.Is(err, errOverloaded):
		return countersign.Errorf(countersign.CodeOverloaded, name, "all %d instances were busy until the deadline",
			i.options.Concurrency)
	case ctx.Err() != nil:
		return countersign.Errorf(countersign.CodeDeadline, name, "the deadline passed while an instance was being made")
	case errors.As(err, &short):
		return countersign.Errorf(countersign.CodeOutOfMemory, name, "%w", err)
	}
	return countersign.Errorf(countersign.CodeInternal, name, "making an instance: %w", err)
}

// replace discards an instance and keeps the agreed number ready, so that no call waits for what another broke.
func (i *Instance) replace(g *guest) {
	i.refill.Add(1) // before g is given back, which is what Close waits for first
	i.pool.discard(g)
	go func() {
		defer i.refill.Done()
		// A failure here shows again, and is reported, when the next call needs an instance.
		_ = i.pool.fill(i.stopping, i.prewarm)
	}()
}

// describe asks the module for its interface document.
func (i *Instance) describe(ctx context.Context) ([]byte, error) {
	g, err := i.pool.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer i.pool.discard(g)
	reply, failure := g.describe(ctx)
	if failure != nil {
		return nil, moduleErrorf(ReasonExport, "%s did not answer: %s", exportDescribe, failure.Reason)
	}
	if reply.Code != "" {
		return nil, moduleErrorf(ReasonExport, "%s answered %s: %s", exportDescribe, reply.Code, reply.Message)
	}
	if !json.Valid(reply.Body) {
		return nil, moduleErrorf(ReasonExport, "%s answered something that is not JSON", exportDescribe)
	}
	return reply.Body, nil
}

// Close refuses new calls, lets those under way finish until ctx ends, then stops them. It returns when none is left.
func (i *Instance) Close(ctx context.Context) error {
	i.closing.Do(func() {
		empty := i.pool.close()
		select {
		case <-empty:
		case <-ctx.Done():
			i.stop()
			i.guests.stop()
			<-empty
		}
		i.stop()
		i.refill.Wait()
		i.closeErr = i.shutDown()
	})
	return i.closeErr
}

// shutDown frees what is left when no instance is.
func (i *Instance) shutDown() error {
	i.stop()
	err := i.runtime.Close(context.Background())
	if i.compiled != nil {
		err = errors.Join(err, i.compiled.Close(context.Background()))
	}
	i.stdout.Close()
	i.stderr.Close()
	if err != nil {
		return fmt.Errorf("closing function %q: %w", i.options.Function, err)
	}
	return nil
}

// replyError turns a reply that is a failure into an error. A function may use no codes but these three: the others
// say what the platform found out.
func (i *Instance) replyError(r frame.Reply) *countersign.CallError {
	code := countersign.Code(r.Code)
	switch code {
	case countersign.CodeFailed, countersign.CodePanicked, countersign.CodeBadRequest:
		return &countersign.CallError{Code: code, Function: i.options.Function, Reason: clip(r.Message)}
	}
	return countersign.Errorf(countersign.CodeBroken, i.options.Function,
		"it answered with the code %q, which is not a function's to use", clip(r.Code))
}
