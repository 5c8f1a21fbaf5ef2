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
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
	"countersign/host/runtime/output"

	"github.com/tetratelabs/wazero"
)

const (
	maxMemory      = 4 << 30          // what 32 bits can address
	initializeTime = 15 * time.Second // generous: the machine may be busy building
)

// Instance is one allocation of a function: a pool of sandboxes that share its memory and its name. It implements
// runtime.Instance.
type Instance struct {
	options   Options
	runtime   wazero.Runtime
	compiled  wazero.CompiledModule
	initial   int64 // bytes of linear memory that a new sandbox has
	fixed     int64 // bytes that a sandbox has beside its linear memory
	stack     int64 // bytes of fixed for the call stack; 0 in the interpreter
	prewarm   int
	pool      *pool
	memory    *limits.Memory
	frames    *limits.Frames
	stdout    *output.Stream
	stderr    *output.Stream
	refill    sync.WaitGroup
	sandboxes sandboxSet

	calls runtime.Calls
	cpu   atomic.Int64 // nanoseconds

	stopping context.Context // ends when calls under way are to be stopped
	stop     context.CancelFunc
	closing  sync.Once
	closeErr error
}

func newInstance(o Options) *Instance {
	i := &Instance{options: o, prewarm: min(max(o.Prewarm, 1), o.Places())}
	i.sandboxes.members = map[*sandbox]struct{}{}
	i.pool = newPool(o.Places(), i.newSandbox)
	i.memory = limits.NewMemory(o.Memory/pageSize*pageSize, i.pool.evict)
	i.frames = limits.NewFrames(i.memory)
	i.stdout, i.stderr = output.New(o.Stdout), output.New(o.Stderr)
	i.stopping, i.stop = context.WithCancel(context.Background())
	return i
}

// Usage implements runtime.Instance.
func (i *Instance) Usage() runtime.Usage {
	u := i.calls.Usage()
	u.CPU = time.Duration(i.cpu.Load())
	u.MemoryBytes, u.MemoryMax = i.memory.Used()-i.frames.Spare(), i.memory.Peak()
	u.Sandboxes, u.DroppedOutput = i.pool.count(), i.stdout.Dropped()+i.stderr.Dropped()
	return u
}

// Invoke implements runtime.Instance.
func (i *Instance) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	return i.calls.Run(ctx, in, i.invoke)
}

func (i *Instance) invoke(ctx context.Context, in *countersign.Invocation) (body []byte, failure *countersign.CallError) {
	held := int64(limits.CallBytes + frame.InvocationSize(in))
	if !i.frames.Take(held) {
		return nil, i.options.Errorf(countersign.CodeOverloaded, "its %d bytes of memory have no room for the request", i.options.Memory)
	}
	defer func() { i.frames.Give(held + int64(len(body))) }()
	if s, err := i.pool.acquire(ctx); err != nil {
		failure = i.acquireError(ctx, err)
	} else {
		body, failure = s.handle(ctx, in)
		if s.dead {
			i.replace(s)
		} else {
			i.pool.release(s)
		}
	}
	if failure != nil && failure.Code == countersign.CodeOutOfMemory {
		i.calls.OutOfMemory()
	}
	return body, failure
}

func (i *Instance) acquireError(ctx context.Context, err error) *countersign.CallError {
	var failure *countersign.CallError
	var short *memoryShortage
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, errClosed):
		return i.options.Stopping()
	case errors.Is(err, errCrowded):
		return i.options.Errorf(countersign.CodeOverloaded, "%d calls are waiting for a place already", limits.Waiting)
	case errors.Is(err, errOverloaded):
		return i.options.Crowded(ctx)
	case errors.Is(ctx.Err(), context.Canceled):
		return i.options.Errorf(countersign.CodeCanceled, "the caller went away while a sandbox was being made")
	case ctx.Err() != nil:
		return i.options.Errorf(countersign.CodeDeadline, "the deadline passed while a sandbox was being made")
	case errors.As(err, &short):
		return i.options.Errorf(countersign.CodeOutOfMemory, "%w", err)
	}
	return i.options.Errorf(countersign.CodeInternal, "making a sandbox: %w", err)
}

// replace discards a sandbox and keeps the agreed number ready, so that no call waits for what another broke.
func (i *Instance) replace(s *sandbox) {
	i.refill.Add(1) // before s is given back, which is what Close waits for first
	i.pool.discard(s)
	go func() {
		defer i.refill.Done()
		// A failure here shows again, and is reported, when the next call needs a sandbox.
		_ = i.pool.fill(i.stopping, i.prewarm)
	}()
}

// describe asks the module for its interface document.
func (i *Instance) describe(ctx context.Context) ([]byte, error) {
	s, err := i.pool.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer i.pool.discard(s)
	reply, failure := s.describe(ctx)
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

// Close implements runtime.Instance.
func (i *Instance) Close(ctx context.Context) error {
	i.closing.Do(func() {
		empty := i.pool.close()
		select {
		case <-empty:
		case <-ctx.Done():
			i.stop()
			i.sandboxes.stop()
			<-empty
		}
		i.stop()
		i.refill.Wait()
		i.closeErr = i.shutDown()
	})
	return i.closeErr
}

// shutDown frees what is left when no sandbox is.
func (i *Instance) shutDown() error {
	i.stop()
	i.frames.Close()
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
