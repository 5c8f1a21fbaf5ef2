package wasm

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
	"countersign/host/runtime/output"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memoryShortage is the error of a sandbox that did not fit into the function's memory.
type memoryShortage struct{ err error }

func (e *memoryShortage) Error() string { return e.err.Error() }

func (e *memoryShortage) Unwrap() error { return e.err }

// sandbox is what calls run in, one at a time: a WebAssembly module instance with its memory. What runs inside, which
// nothing here trusts, is called the guest. All fields but halt belong to the goroutine that borrowed it from the pool.
type sandbox struct {
	owner     *Instance
	mod       api.Module
	linear    *linearMemory
	calls     *callStack // nil in the interpreter, which bounds the depth of calls
	starter   api.Function
	alloc     api.Function
	run       api.Function
	describer api.Function
	watch     stopwatch
	stack     [2]uint64
	inbox     uint32 // buffer in the guest's memory for invocations
	inboxCap  uint32
	outgoing  []byte // frame of an invocation being made, without the body
	pending   pendingReply
	stdout    output.Lines
	stderr    output.Lines
	fileError unix.Errno // why the last operation on a file failed, if it did
	sockets   *sockets   // nil: the function has no network tags
	acted     bool       // the call under way may have done something that others can see
	lastWord  string     // why the guest said that it dies
	dead      bool       // must not be used again

	ctx context.Context         // of the call under way, or nil
	in  *countersign.Invocation // the call under way, or nil

	halt    sync.Mutex
	stopper api.MutableGlobal
	halted  bool
}

// sandboxSet is the sandboxes that exist, so that all can be stopped.
type sandboxSet struct {
	mu      sync.Mutex
	members map[*sandbox]struct{}
	stopped bool
}

func (set *sandboxSet) add(s *sandbox) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.members[s] = struct{}{}
	if set.stopped {
		s.stop()
	}
}

func (set *sandboxSet) remove(s *sandbox) {
	set.mu.Lock()
	defer set.mu.Unlock()
	delete(set.members, s)
}

// stop stops all that are there, and all that are still to come.
func (set *sandboxSet) stop() {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.stopped = true
	for s := range set.members {
		s.stop()
	}
}

// sandboxContext is the context of what runs in a sandbox: it carries the sandbox and nothing else. It is never done,
// because wazero's own way to stop a module is not used; safepoint.go says why.
type sandboxContext struct{ s *sandbox }

type sandboxKey struct{}

func (sandboxContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (sandboxContext) Done() <-chan struct{}       { return nil }
func (sandboxContext) Err() error                  { return nil }

func (c sandboxContext) Value(key any) any {
	if _, ok := key.(sandboxKey); ok {
		return c.s
	}
	return nil
}

// newSandbox makes a sandbox and runs its initialisation.
func (i *Instance) newSandbox(ctx context.Context) (*sandbox, error) {
	s := &sandbox{owner: i, watch: stopwatch{total: &i.cpu}}
	if err := s.take(); err != nil {
		return nil, err
	}
	s.stdout = output.Lines{To: i.stdout, Call: s.callID, Halted: s.isHalted}
	s.stderr = output.Lines{To: i.stderr, Call: s.callID, Halted: s.isHalted, See: s.listen}
	config := wazero.NewModuleConfig().WithName("").WithArgs(i.options.Function).WithStartFunctions().
		WithStdout(&s.stdout).WithStderr(&s.stderr).WithRandSource(randomNumbers{s}).
		WithFSConfig(s.mounts()).WithSysWalltime().WithSysNanotime().WithNanosleep(s.sleep)
	mod, err := i.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, s.linear), i.compiled, config)
	if err != nil {
		s.give()
		return nil, moduleErrorf(ReasonInitialize, "it can't be instantiated: %v", err)
	}
	s.mod = mod
	if err := s.bind(); err != nil {
		s.close()
		return nil, err
	}
	i.sandboxes.add(s)
	if err := s.initialize(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// take books and maps what the sandbox has from the start.
func (s *sandbox) take() error {
	i := s.owner
	if !i.memory.Take(i.fixed) {
		return &memoryShortage{fmt.Errorf("a new sandbox needs %d bytes of memory beside its linear memory, and of %d only %d are free",
			i.fixed, i.memory.Limit(), i.memory.Limit()-i.memory.Used())}
	}
	linear, err := newLinearMemory(i.memory, i.initial, i.memory.Limit())
	if err != nil {
		i.memory.Give(i.fixed)
		return &memoryShortage{err}
	}
	linear.alone = i.memory.Limit() - i.fixed - limits.FramesReserve(i.memory.Limit())
	s.linear = linear
	if i.stack > 0 {
		if s.calls, err = newCallStack(i.stack); err != nil {
			s.give()
			return &memoryShortage{err}
		}
	}
	if i.options.Network != nil {
		if s.sockets, err = newSockets(i.options.Network); err != nil {
			s.give()
			return err
		}
	}
	return nil
}

// give returns what take took.
func (s *sandbox) give() {
	if s.sockets != nil {
		s.sockets.close()
	}
	if s.calls != nil {
		s.calls.free()
	}
	s.linear.Free()
	s.owner.memory.Give(s.owner.fixed)
}

// bind finds what the host uses of the module, and puts its functions on the sandbox's stack.
func (s *sandbox) bind() error {
	stopper, ok := s.mod.ExportedGlobal(exportStop).(api.MutableGlobal)
	if !ok {
		return fmt.Errorf("the module has no global %s", exportStop)
	}
	s.stopper = stopper
	for name, f := range map[string]*api.Function{exportInitialize: &s.starter, exportAlloc: &s.alloc, exportHandle: &s.run,
		exportDescribe: &s.describer} {
		*f = s.mod.ExportedFunction(name)
		if s.calls == nil {
			continue
		}
		if err := s.calls.carry(*f); err != nil {
			return err
		}
	}
	return nil
}

// initialize runs the module's own start.
func (s *sandbox) initialize(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, initializeTime)
	defer cancel()
	failure := s.guard(ctx, func() *countersign.CallError { return s.call(s.starter) })
	switch {
	case failure == nil:
		return nil
	case failure.Code == countersign.CodeOutOfMemory && s.owner.pool.count() > 1:
		return &memoryShortage{failure}
	case failure.Code == countersign.CodeCanceled, failure.Code == countersign.CodeUnavailable:
		return failure
	}
	return moduleErrorf(ReasonInitialize, "its initialisation failed (%s): %s", failure.Code, failure.Reason)
}

// close frees the sandbox. Nothing may run in it.
func (s *sandbox) close() {
	s.owner.sandboxes.remove(s)
	s.stdout.Flush()
	s.stderr.Flush()
	// Files are closed with it. What an error could tell, no call is there to hear.
	_ = s.mod.Close(context.Background())
	s.give()
}

// callID names the call under way for the function's log.
func (s *sandbox) callID() string {
	if s.in == nil {
		return ""
	}
	return s.in.ID
}

// listen keeps what Go's runtime says when it ends a program.
func (s *sandbox) listen(line []byte) {
	if s.lastWord == "" {
		s.lastWord = runtime.LastWord(line)
	}
}

// sleep is the guest's clock wait. It ends early when the call does; the next safepoint then stops the guest.
func (s *sandbox) sleep(nanoseconds int64) {
	timer := time.NewTimer(time.Duration(nanoseconds))
	defer timer.Stop()
	var done <-chan struct{}
	if s.ctx != nil {
		done = s.ctx.Done()
	}
	select {
	case <-timer.C:
	case <-done:
	case <-s.owner.stopping.Done():
	}
}

// stop ends what runs in the sandbox at its next safepoint, for good.
func (s *sandbox) stop() {
	s.halt.Lock()
	defer s.halt.Unlock()
	s.halted = true
	s.stopper.Set(1)
	if s.sockets != nil {
		s.sockets.wake()
	}
}

func (s *sandbox) isHalted() bool {
	s.halt.Lock()
	defer s.halt.Unlock()
	return s.halted
}

// guard runs f, which runs the guest, and stops it when ctx or the function ends.
func (s *sandbox) guard(ctx context.Context, f func() *countersign.CallError) *countersign.CallError {
	s.ctx, s.lastWord, s.acted, s.linear.refused = ctx, "", false, false
	unwatch := context.AfterFunc(ctx, s.stop)
	s.watch.begin()
	failure := f()
	s.watch.pause()
	if !unwatch() {
		s.dead = true
	}
	s.ctx = nil
	return failure
}

// handle runs one call.
func (s *sandbox) handle(ctx context.Context, in *countersign.Invocation) ([]byte, *countersign.CallError) {
	s.in = in
	var body []byte
	failure := s.guard(ctx, func() *countersign.CallError {
		reply, failure := s.exchange(ctx, in)
		if failure != nil {
			return failure
		}
		if reply.Code != "" {
			failure = s.owner.options.Failed(reply)
			s.dead = failure.Code != countersign.CodeFailed && failure.Code != countersign.CodeBadRequest
			return failure
		}
		body, failure = s.cloneReply(reply.Body)
		return failure
	})
	// A line that was begun is this call's, and not the next one's.
	s.stdout.Flush()
	s.stderr.Flush()
	s.in = nil
	s.dropPending()
	if failure != nil {
		if ended := s.owner.options.Ended(ctx); ended != nil {
			return nil, ended
		}
	}
	return body, failure
}

// cloneReply copies the body of a reply out of the guest. The caller of the sandbox gives back what it is booked with.
func (s *sandbox) cloneReply(body []byte) ([]byte, *countersign.CallError) {
	if !s.owner.frames.Take(int64(len(body))) {
		return nil, s.owner.options.OutOfMemory()
	}
	return bytes.Clone(body), nil
}

// exchange writes the invocation into the guest, runs it, and reads the reply, whose body is still the guest's.
func (s *sandbox) exchange(ctx context.Context, in *countersign.Invocation) (frame.Reply, *countersign.CallError) {
	deadline, _ := ctx.Deadline()
	s.outgoing = frame.AppendInvocationHead(s.outgoing[:0], 0, in, deadline)
	if failure := s.deliver(s.outgoing, in.Body); failure != nil {
		return frame.Reply{}, failure
	}
	s.stack[0], s.stack[1] = uint64(s.inbox), uint64(len(s.outgoing)+len(in.Body))
	if failure := s.call(s.run); failure != nil {
		return frame.Reply{}, failure
	}
	return s.reply(frameLimit(s.owner.options.MaxReply))
}

// keepBuffer is the size over which the guest's buffer is not used again.
const keepBuffer = 1 << 20

// deliver copies a frame to where the guest wants it. The guest's buffer is used again while it fits.
func (s *sandbox) deliver(head, body []byte) *countersign.CallError {
	total := int64(len(head)) + int64(len(body))
	if total > s.owner.memory.Limit() {
		return s.fail(countersign.CodeTooLarge, "a request of %d bytes can't fit into its memory", total)
	}
	size := uint32(total)
	if size > s.inboxCap || s.inboxCap > keepBuffer {
		s.stack[0] = uint64(max(size, 4096))
		want := uint32(s.stack[0])
		if failure := s.call(s.alloc); failure != nil {
			return failure
		}
		s.inbox, s.inboxCap = uint32(s.stack[0]), want
		if s.inbox == 0 {
			return s.kill(countersign.CodeOutOfMemory, "it has no room for a request of %d bytes", size)
		}
		if _, ok := s.mod.Memory().Read(s.inbox, want); !ok {
			return s.kill(countersign.CodeBroken, "%s gave a buffer outside its memory", exportAlloc)
		}
	}
	if m := s.mod.Memory(); !m.Write(s.inbox, head) || !m.Write(s.inbox+uint32(len(head)), body) {
		return s.kill(countersign.CodeBroken, "%s gave a buffer outside its memory", exportAlloc)
	}
	return nil
}

// reply reads the frame that the guest's result points to.
func (s *sandbox) reply(limit int64) (frame.Reply, *countersign.CallError) {
	ptr, size := uint32(s.stack[0]>>32), uint32(s.stack[0])
	raw, ok := s.mod.Memory().Read(ptr, size)
	if !ok {
		return frame.Reply{}, s.kill(countersign.CodeBroken, "its reply lies outside its memory")
	}
	if int64(size) > limit && int64(size) > limits.Message {
		return frame.Reply{}, s.killed(s.owner.options.TooLarge(int64(size) - frame.Overhead))
	}
	header, rest, err := frame.ParseHeader(raw)
	if err != nil {
		return frame.Reply{}, s.kill(countersign.CodeBroken, "its reply: %w", err)
	}
	if header.Kind != frame.KindReply || header.Stream != 0 {
		return frame.Reply{}, s.kill(countersign.CodeBroken, "it answered with a frame that is no reply")
	}
	r, err := frame.ParseReply(rest)
	if err != nil {
		return frame.Reply{}, s.kill(countersign.CodeBroken, "its reply: %w", err)
	}
	if int64(len(r.Body)) > limit-frame.Overhead {
		return frame.Reply{}, s.killed(s.owner.options.TooLarge(int64(len(r.Body))))
	}
	return r, nil
}

// describe asks for the interface document.
func (s *sandbox) describe(ctx context.Context) (reply frame.Reply, failure *countersign.CallError) {
	failure = s.guard(ctx, func() (failure *countersign.CallError) {
		if failure = s.call(s.describer); failure != nil {
			return failure
		}
		reply, failure = s.reply(math.MaxUint32)
		reply.Body = bytes.Clone(reply.Body)
		return failure
	})
	return reply, failure
}

// call runs a function of the guest with the arguments on s.stack and leaves its result there.
func (s *sandbox) call(f api.Function) *countersign.CallError {
	err := f.CallWithStack(sandboxContext{s}, s.stack[:])
	if err == nil {
		return nil
	}
	s.dead = true
	return s.explain(err)
}
