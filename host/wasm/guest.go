package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"countersign"
	"countersign/host/frame"
	"countersign/host/output"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// memoryShortage is the error of an instance that did not fit into the function's memory.
type memoryShortage struct{ err error }

func (e *memoryShortage) Error() string { return e.err.Error() }

func (e *memoryShortage) Unwrap() error { return e.err }

// guest is one WebAssembly instance. It runs one call at a time; all its fields but halt belong to the goroutine that
// borrowed it from the pool.
type guest struct {
	owner     *Instance
	mod       api.Module
	linear    *linearMemory
	alloc     api.Function
	run       api.Function
	describer api.Function
	watch     stopwatch
	stack     [2]uint64
	inbox     uint32 // buffer in the guest's memory for invocations
	inboxCap  uint32
	outgoing  []byte // frame of an invocation being made
	pending   []byte // reply frame of a nested call that the guest has not read yet
	stdout    output.Lines
	stderr    output.Lines
	lastWord  string // why the guest said that it dies
	dead      bool   // must not be used again

	ctx context.Context         // of the call under way, or nil
	in  *countersign.Invocation // the call under way, or nil

	halt    sync.Mutex
	stopper api.MutableGlobal
	halted  bool
}

// guestSet is the instances that exist, so that all can be stopped.
type guestSet struct {
	mu      sync.Mutex
	members map[*guest]struct{}
	stopped bool
}

func (s *guestSet) add(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[g] = struct{}{}
	if s.stopped {
		g.stop()
	}
}

func (s *guestSet) remove(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, g)
}

// stop stops all that are there, and all that are still to come.
func (s *guestSet) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for g := range s.members {
		g.stop()
	}
}

// guestContext is the context of what runs in an instance: it carries the instance and nothing else. It is never done,
// because wazero's own way to stop a module is not used; safepoint.go says why.
type guestContext struct{ g *guest }

type guestKey struct{}

func (guestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (guestContext) Done() <-chan struct{}       { return nil }
func (guestContext) Err() error                  { return nil }

func (c guestContext) Value(key any) any {
	if _, ok := key.(guestKey); ok {
		return c.g
	}
	return nil
}

// instantiate makes an instance and runs its initialisation.
func (i *Instance) instantiate(ctx context.Context) (*guest, error) {
	linear, err := newLinearMemory(i.budget, i.initial, i.budget.limit)
	if err != nil {
		return nil, &memoryShortage{err}
	}
	g := &guest{owner: i, linear: linear, watch: stopwatch{total: &i.cpu}}
	g.stdout = output.Lines{To: i.stdout, Halted: g.isHalted}
	g.stderr = output.Lines{To: i.stderr, Halted: g.isHalted, See: g.listen}
	config := wazero.NewModuleConfig().WithName("").WithArgs(i.options.Function).WithStartFunctions().
		WithStdout(&g.stdout).WithStderr(&g.stderr).WithRandSource(rand.Reader).
		WithSysWalltime().WithSysNanotime().WithNanosleep(g.sleep)
	g.mod, err = i.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, linear), i.compiled, config)
	if err != nil {
		linear.Free()
		return nil, moduleErrorf(ReasonInitialize, "it can't be instantiated: %v", err)
	}
	stopper, ok := g.mod.ExportedGlobal(exportStop).(api.MutableGlobal)
	if !ok {
		g.close()
		return nil, fmt.Errorf("the module has no global %s", exportStop)
	}
	g.stopper = stopper
	g.alloc = g.mod.ExportedFunction(exportAlloc)
	g.run = g.mod.ExportedFunction(exportHandle)
	g.describer = g.mod.ExportedFunction(exportDescribe)
	i.guests.add(g)
	if err := g.initialize(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// initialize runs the module's own start.
func (g *guest) initialize(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, initializeTime)
	defer cancel()
	failure := g.guard(ctx, func() *countersign.CallError { return g.call(g.mod.ExportedFunction("_initialize")) })
	switch {
	case failure == nil:
		return nil
	case failure.Code == countersign.CodeOutOfMemory && g.owner.pool.count() > 1:
		return &memoryShortage{failure}
	case failure.Code == countersign.CodeCanceled, failure.Code == countersign.CodeUnavailable:
		return failure
	}
	return moduleErrorf(ReasonInitialize, "its initialisation failed (%s): %s", failure.Code, failure.Reason)
}

// close frees the instance. Nothing may run in it.
func (g *guest) close() {
	g.owner.guests.remove(g)
	g.stdout.Flush()
	g.stderr.Flush()
	// The error could only come from a file system, and there is none.
	_ = g.mod.Close(context.Background())
	g.linear.Free()
}

// listen keeps what Go's runtime says when it ends a program.
func (g *guest) listen(line []byte) {
	if g.lastWord == "" && (bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: "))) {
		g.lastWord = clip(strings.TrimSpace(string(line)))
	}
}

// sleep is the guest's clock wait. It ends early when the call does; the next safepoint then stops the guest.
func (g *guest) sleep(nanoseconds int64) {
	timer := time.NewTimer(time.Duration(nanoseconds))
	defer timer.Stop()
	var done <-chan struct{}
	if g.ctx != nil {
		done = g.ctx.Done()
	}
	select {
	case <-timer.C:
	case <-done:
	case <-g.owner.stopping.Done():
	}
}

// stop ends what runs in the instance at its next safepoint, for good.
func (g *guest) stop() {
	g.halt.Lock()
	defer g.halt.Unlock()
	g.halted = true
	g.stopper.Set(1)
}

func (g *guest) isHalted() bool {
	g.halt.Lock()
	defer g.halt.Unlock()
	return g.halted
}

// guard runs f, which runs the guest, and stops it when ctx or the function ends.
func (g *guest) guard(ctx context.Context, f func() *countersign.CallError) *countersign.CallError {
	g.ctx, g.lastWord, g.linear.refused = ctx, "", false
	unwatch := context.AfterFunc(ctx, g.stop)
	g.watch.begin()
	failure := f()
	g.watch.pause()
	if !unwatch() {
		g.dead = true
	}
	g.ctx = nil
	return failure
}

// handle runs one call.
func (g *guest) handle(ctx context.Context, in *countersign.Invocation) ([]byte, *countersign.CallError) {
	g.in = in
	var body []byte
	failure := g.guard(ctx, func() *countersign.CallError {
		reply, failure := g.exchange(ctx, in)
		if failure != nil {
			return failure
		}
		if reply.Code != "" {
			failure = g.owner.replyError(reply)
			g.dead = failure.Code != countersign.CodeFailed && failure.Code != countersign.CodeBadRequest
			return failure
		}
		body = bytes.Clone(reply.Body)
		return nil
	})
	g.in = nil
	if failure != nil && expired(ctx) {
		return nil, g.ended(ctx)
	}
	return body, failure
}

// exchange writes the invocation into the guest, runs it, and reads the reply, whose body is still the guest's.
func (g *guest) exchange(ctx context.Context, in *countersign.Invocation) (frame.Reply, *countersign.CallError) {
	deadline, _ := ctx.Deadline()
	g.outgoing = frame.AppendInvocation(g.outgoing[:0], 0, in, deadline)
	if failure := g.deliver(g.outgoing); failure != nil {
		return frame.Reply{}, failure
	}
	g.stack[0], g.stack[1] = uint64(g.inbox), uint64(len(g.outgoing))
	if cap(g.outgoing) > keepBuffer {
		g.outgoing = nil
	}
	if failure := g.call(g.run); failure != nil {
		return frame.Reply{}, failure
	}
	return g.reply(frameLimit(g.owner.options.MaxReply))
}

// keepBuffer is the size over which a buffer is not kept for the next call.
const keepBuffer = 1 << 20

// deliver copies a frame to where the guest wants it. The guest's buffer is used again while it fits.
func (g *guest) deliver(outgoing []byte) *countersign.CallError {
	if int64(len(outgoing)) > g.owner.budget.limit {
		return g.fail(countersign.CodeTooLarge, "a request of %d bytes can't fit into its memory", len(outgoing))
	}
	size := uint32(len(outgoing))
	if size > g.inboxCap || g.inboxCap > keepBuffer {
		g.stack[0] = uint64(max(size, 4096))
		want := uint32(g.stack[0])
		if failure := g.call(g.alloc); failure != nil {
			return failure
		}
		g.inbox, g.inboxCap = uint32(g.stack[0]), want
		if g.inbox == 0 {
			return g.kill(countersign.CodeOutOfMemory, "it has no room for a request of %d bytes", size)
		}
		if _, ok := g.mod.Memory().Read(g.inbox, want); !ok {
			return g.kill(countersign.CodeBroken, "%s gave a buffer outside its memory", exportAlloc)
		}
	}
	if !g.mod.Memory().Write(g.inbox, outgoing) {
		return g.kill(countersign.CodeBroken, "%s gave a buffer outside its memory", exportAlloc)
	}
	return nil
}

// reply reads the frame that the guest's result points to.
func (g *guest) reply(limit int64) (frame.Reply, *countersign.CallError) {
	ptr, size := uint32(g.stack[0]>>32), uint32(g.stack[0])
	raw, ok := g.mod.Memory().Read(ptr, size)
	if !ok {
		return frame.Reply{}, g.kill(countersign.CodeBroken, "its reply lies outside its memory")
	}
	if int64(size) > limit && int64(size) > messageLimit {
		return frame.Reply{}, g.kill(countersign.CodeTooLarge, "its reply has %d bytes; %d are allowed",
			int64(size)-frame.Overhead, limit-frame.Overhead)
	}
	header, rest, err := frame.ParseHeader(raw)
	if err != nil {
		return frame.Reply{}, g.kill(countersign.CodeBroken, "its reply: %w", err)
	}
	if header.Kind != frame.KindReply || header.Stream != 0 {
		return frame.Reply{}, g.kill(countersign.CodeBroken, "it answered with a frame that is no reply")
	}
	r, err := frame.ParseReply(rest)
	if err != nil {
		return frame.Reply{}, g.kill(countersign.CodeBroken, "its reply: %w", err)
	}
	if int64(len(r.Body)) > limit-frame.Overhead {
		return frame.Reply{}, g.kill(countersign.CodeTooLarge, "its reply has %d bytes; %d are allowed",
			len(r.Body), limit-frame.Overhead)
	}
	return r, nil
}

// describe asks for the interface document.
func (g *guest) describe(ctx context.Context) (reply frame.Reply, failure *countersign.CallError) {
	failure = g.guard(ctx, func() (failure *countersign.CallError) {
		if failure = g.call(g.describer); failure != nil {
			return failure
		}
		reply, failure = g.reply(math.MaxUint32)
		reply.Body = bytes.Clone(reply.Body)
		return failure
	})
	return reply, failure
}

// call runs a function of the guest with the arguments on g.stack and leaves its result there.
func (g *guest) call(f api.Function) *countersign.CallError {
	err := f.CallWithStack(guestContext{g}, g.stack[:])
	if err == nil {
		return nil
	}
	g.dead = true
	return g.explain(err)
}
