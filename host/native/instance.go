package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/host/frame"
	"countersign/host/output"
)

const (
	messageLimit   = 4 << 10
	describeMemory = 256 << 20
	describeTime   = 5 * time.Second
	// grace is how long a call may go on after its deadline before the process is ended.
	grace       = 500 * time.Millisecond
	restartWait = 100 * time.Millisecond // before the first restart, and twice as long after every failed one
	restartMax  = 5 * time.Second
)

// Options of a native function.
type Options struct {
	Function    string
	Memory      int64 // bytes of the process
	Concurrency int   // calls that run at the same time; at least 1
	Stdout      io.Writer
	Stderr      io.Writer
	Caller      countersign.Caller // nil: it may make no calls
	MaxReply    int64              // bytes of a reply's body; 0: no limit but that of a frame
	Shim        string             // executable whose main runs Shim for ShimCommand; "" is the program itself
	CgroupPath  string             // directory of a cgroup (version 2) to start the process in, or ""
}

// Instance is one allocation of a native function: a process, restarted when it dies.
type Instance struct {
	options Options
	image   *os.File // the executable, sealed in memory
	shim    *os.File
	slots   chan struct{}
	stdout  *output.Stream
	stderr  *output.Stream

	mu      sync.Mutex
	current *process      // nil while it is being restarted
	ready   chan struct{} // closed when there is a current, or there will be none
	past    time.Duration // CPU time of earlier processes
	peak    int64         // most memory of earlier processes
	closed  bool

	inFlight, calls, failures, ooms atomic.Int64

	stopping   context.Context
	stop       context.CancelFunc
	supervisor sync.WaitGroup
	requests   sync.WaitGroup
	closing    sync.Once
	closeErr   error
}

// Stats is what an Instance has used and done so far.
type Stats struct {
	CPU           time.Duration
	MemoryBytes   int64 // anonymous memory of the process now
	MemoryMax     int64 // the most ever seen
	Instances     int   // processes
	InFlight      int
	Calls         int64
	Failures      int64
	OOMs          int64
	DroppedOutput int64
}

// Start starts the executable in its sandbox. An executable that can't be run is an *ExecutableError; a machine that
// can't enforce the sandbox is an *UnsupportedError.
func Start(executable []byte, o Options) (*Instance, error) {
	if err := checkExecutable(executable); err != nil {
		return nil, fmt.Errorf("starting function %q: %w", o.Function, err)
	}
	image, err := memoryFile(o.Function, executable)
	if err != nil {
		return nil, fmt.Errorf("starting function %q: %w", o.Function, err)
	}
	if o.Shim == "" {
		o.Shim = "/proc/self/exe"
	}
	shim, err := os.Open(o.Shim)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting function %q: opening the shim: %w", o.Function, err), image.Close())
	}
	o.Concurrency = max(o.Concurrency, 1)
	i := &Instance{options: o, image: image, shim: shim, slots: make(chan struct{}, o.Concurrency), ready: make(chan struct{})}
	i.stdout, i.stderr = output.New(o.Stdout), output.New(o.Stderr)
	i.stopping, i.stop = context.WithCancel(context.Background())
	p, err := startProcess(i)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting function %q: %w", o.Function, err), i.release())
	}
	i.adopt(p)
	i.supervisor.Go(func() { i.supervise(p) })
	return i, nil
}

// supervise replaces the process whenever it dies.
func (i *Instance) supervise(p *process) {
	wait := restartWait
	for {
		<-p.died
		for p = nil; p == nil; wait = min(2*wait, restartMax) {
			select {
			case <-i.stopping.Done():
				return
			case <-time.After(wait):
			}
			var err error
			if p, err = startProcess(i); err != nil {
				fmt.Fprintf(&output.Lines{To: i.stderr}, "[the function's process could not be restarted: %v]\n", err)
			}
		}
		wait = restartWait
		i.adopt(p)
		if i.stopping.Err() != nil {
			p.kill(countersign.CodeUnavailable)
		}
	}
}

// adopt puts a process into service, if it has not died already.
func (i *Instance) adopt(p *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !p.buried {
		i.current = p
		close(i.ready)
	}
}

// bury takes a dead process out of service, before its calls learn of it, and keeps its account.
func (i *Instance) bury(p *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	cpu, _, peak := p.usage.get()
	i.past += cpu
	i.peak = max(i.peak, peak)
	// The limit is enforced twice, by the host's look at the process and by the kernel: only the end tells which was first.
	if p.deathError().Code == countersign.CodeOutOfMemory {
		i.ooms.Add(1)
	}
	p.buried = true
	if i.current == p {
		i.current = nil
		i.ready = make(chan struct{})
	}
}

// Stats returns the use of resources so far.
func (i *Instance) Stats() Stats {
	s := Stats{InFlight: int(i.inFlight.Load()), Calls: i.calls.Load(), Failures: i.failures.Load(), OOMs: i.ooms.Load(),
		DroppedOutput: i.stdout.Dropped() + i.stderr.Dropped()}
	i.mu.Lock()
	defer i.mu.Unlock()
	s.CPU, s.MemoryMax = i.past, i.peak
	if i.current != nil {
		cpu, memory, peak := i.current.usage.get()
		s.CPU, s.MemoryBytes, s.MemoryMax, s.Instances = s.CPU+cpu, memory, max(s.MemoryMax, peak), 1
	}
	return s
}

// Invoke runs one call and returns the reply's body. It ends by the deadline of ctx or of in, whichever is earlier.
// Every error is a *countersign.CallError.
func (i *Instance) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return nil, countersign.Errorf(countersign.CodeUnavailable, i.options.Function, "the function is being stopped")
	}
	i.requests.Add(1)
	i.mu.Unlock()
	defer i.requests.Done()
	i.inFlight.Add(1)
	defer i.inFlight.Add(-1)
	i.calls.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	if at, ok := ctx.Deadline(); !in.Deadline.IsZero() && (!ok || in.Deadline.Before(at)) {
		ctx, cancel = deadlineOf(ctx, cancel, in.Deadline)
	}
	defer cancel()
	body, failure := i.invoke(ctx, in)
	if failure != nil {
		i.failures.Add(1)
		return nil, failure
	}
	return body, nil
}

func (i *Instance) invoke(ctx context.Context, in *countersign.Invocation) ([]byte, *countersign.CallError) {
	name := i.options.Function
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, countersign.Errorf(countersign.CodeCanceled, name, "the caller went away while waiting for a place")
		}
		return nil, countersign.Errorf(countersign.CodeOverloaded, name, "%d calls ran until the deadline", cap(i.slots))
	}
	free := func() { <-i.slots }
	q := &question{ctx: ctx, in: in}
	deadline, _ := ctx.Deadline()
	p, stream, failure := i.ask(ctx, q, func(dst []byte, stream uint32) []byte {
		return frame.AppendInvocation(dst, stream, in, deadline)
	})
	if failure != nil {
		free()
		return nil, failure
	}
	select {
	case reply, ok := <-q.answer:
		free()
		if !ok {
			<-p.died
			return nil, i.ended(ctx, p.deathError())
		}
		return i.reply(ctx, reply)
	case <-ctx.Done():
		go p.abandon(stream, q, free)
		return nil, i.ended(ctx, nil)
	}
}

// ask sends a frame to the process, or to the next one if this one has just died.
func (i *Instance) ask(ctx context.Context, q *question, appendFrame func([]byte, uint32) []byte) (
	*process, uint32, *countersign.CallError) {
	for {
		p, failure := i.process(ctx)
		if failure != nil {
			return nil, 0, failure
		}
		if stream := p.ask(q, appendFrame); stream != 0 {
			return p, stream, nil
		}
	}
}

// process returns the running process, and waits for it if it is being restarted.
func (i *Instance) process(ctx context.Context) (*process, *countersign.CallError) {
	for {
		i.mu.Lock()
		p, ready := i.current, i.ready
		i.mu.Unlock()
		if p != nil {
			return p, nil
		}
		select {
		case <-ready:
		case <-i.stopping.Done():
			return nil, countersign.Errorf(countersign.CodeUnavailable, i.options.Function, "the function is being stopped")
		case <-ctx.Done():
			return nil, countersign.Errorf(countersign.CodeUnavailable, i.options.Function,
				"its process was being restarted until the call ended")
		}
	}
}

// abandon asks the function to end a call whose caller waits no more, and ends the process if it does not.
func (p *process) abandon(stream uint32, q *question, free func()) {
	defer free()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	p.send(ctx, func(dst []byte) []byte { return frame.AppendSignal(dst, frame.KindCancel, stream) })
	select {
	case <-q.answer:
	case <-ctx.Done():
		p.kill(countersign.CodeDeadline)
		<-p.died
	}
}

// ended is the error of a call: that of its own end if it has come, else the other.
func (i *Instance) ended(ctx context.Context, other *countersign.CallError) *countersign.CallError {
	at, ok := ctx.Deadline()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return countersign.Errorf(countersign.CodeCanceled, i.options.Function, "the caller went away")
	case ctx.Err() != nil || ok && !time.Now().Before(at):
		return countersign.Errorf(countersign.CodeDeadline, i.options.Function,
			"the deadline passed, and the call was stopped")
	}
	return other
}

// reply turns a reply into a body or an error.
func (i *Instance) reply(ctx context.Context, r frame.Reply) ([]byte, *countersign.CallError) {
	name := i.options.Function
	switch code := countersign.Code(r.Code); code {
	case "":
		if i.options.MaxReply > 0 && int64(len(r.Body)) > i.options.MaxReply {
			return nil, countersign.Errorf(countersign.CodeTooLarge, name, "its reply has %d bytes; %d are allowed",
				len(r.Body), i.options.MaxReply)
		}
		return r.Body, nil
	case countersign.CodeFailed, countersign.CodePanicked, countersign.CodeBadRequest:
		return nil, i.ended(ctx, &countersign.CallError{Code: code, Function: name, Reason: clip(r.Message)})
	}
	return nil, countersign.Errorf(countersign.CodeBroken, name,
		"it answered with the code %q, which is not a function's to use", clip(r.Code))
}

// callOut makes a call for the function.
func (i *Instance) callOut(ctx context.Context, parent *countersign.Invocation, call frame.Call) frame.Reply {
	if i.options.Caller == nil {
		return failureReply(countersign.Errorf(countersign.CodeNotPermitted, call.Callee, "calls are not possible here"))
	}
	body, err := i.options.Caller.Call(ctx, parent, call.Callee, call.Body)
	if err != nil {
		return failureReply(err)
	}
	return frame.Reply{Body: body}
}

// Describe returns the interface document of an executable, which it runs in a sandbox for at most describeTime.
// shim is as in Options.
func Describe(ctx context.Context, executable []byte, shim string) ([]byte, error) {
	i, err := Start(executable, Options{Function: "function", Memory: describeMemory, Shim: shim})
	if err != nil {
		return nil, err
	}
	doc, err := i.describe(ctx)
	done, cancel := context.WithCancel(context.Background())
	cancel() // nothing is under way that would be worth waiting for
	return doc, errors.Join(err, i.Close(done))
}

func (i *Instance) describe(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	q := &question{ctx: ctx}
	_, _, failure := i.ask(ctx, q, func(dst []byte, stream uint32) []byte {
		return frame.AppendSignal(dst, frame.KindDescribe, stream)
	})
	if failure != nil {
		return nil, failure
	}
	select {
	case reply, ok := <-q.answer:
		switch {
		case !ok:
			return nil, &ExecutableError{"it ended when it was asked to describe itself"}
		case reply.Code != "":
			return nil, &ExecutableError{fmt.Sprintf("it can't describe itself (%s): %s", clip(reply.Code), clip(reply.Message))}
		case !json.Valid(reply.Body):
			return nil, &ExecutableError{"it describes itself with something that is not JSON"}
		}
		return reply.Body, nil
	case <-ctx.Done():
		return nil, &ExecutableError{"it did not describe itself in time: does it use the SDK?"}
	}
}

// Close refuses new calls, lets those under way finish until ctx ends, then ends the process.
func (i *Instance) Close(ctx context.Context) error {
	i.closing.Do(func() {
		i.mu.Lock()
		i.closed = true
		i.mu.Unlock()
		finished := make(chan struct{})
		go func() { i.requests.Wait(); close(finished) }()
		select {
		case <-finished:
		case <-ctx.Done():
		}
		i.stop()
		i.mu.Lock()
		p := i.current
		i.mu.Unlock()
		if p != nil {
			p.kill(countersign.CodeUnavailable)
		}
		i.supervisor.Wait()
		<-finished
		i.closeErr = i.release()
	})
	return i.closeErr
}

// release frees what is left when there is no process.
func (i *Instance) release() error {
	i.stop()
	i.stdout.Close()
	i.stderr.Close()
	if err := errors.Join(i.image.Close(), i.shim.Close()); err != nil {
		return fmt.Errorf("closing the executables of function %q: %w", i.options.Function, err)
	}
	return nil
}
