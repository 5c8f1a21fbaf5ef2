package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
	"countersign/host/runtime/output"
)

const (
	// grace is how long a call may go on after its deadline before the process is ended.
	grace       = 500 * time.Millisecond
	restartWait = 100 * time.Millisecond // before the first restart, and twice as long after every failed one
	restartMax  = 5 * time.Second
)

// Options of a native function.
type Options struct {
	runtime.Options
	Shim       string // executable whose main runs Shim for ShimCommand; "" is the program itself
	CgroupPath string // directory of a cgroup (version 2) to start the process in, or ""
}

// Instance is one allocation of a native function: one sandbox, its process, made anew when it dies. It implements
// runtime.Instance.
type Instance struct {
	options Options
	image   *os.File // the executable, sealed in memory
	shim    *os.File
	slots   chan struct{}
	memory  *limits.Memory
	stdout  *output.Stream
	stderr  *output.Stream

	mu      sync.Mutex
	current *process      // nil while it is being restarted
	ready   chan struct{} // closed when there is a current, or there will be none
	past    time.Duration // CPU time of earlier processes
	closed  bool

	calls runtime.Calls

	stopping   context.Context
	stop       context.CancelFunc
	supervisor sync.WaitGroup
	requests   sync.WaitGroup
	closing    sync.Once
	closeErr   error
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
	i := &Instance{options: o, image: image, shim: shim, slots: make(chan struct{}, o.Places()), ready: make(chan struct{}),
		memory: limits.NewMemory(o.Memory, nil)}
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
	i.past += p.usage.cpuTime()
	// The limit is enforced twice, by the host's look at the process and by the kernel: only the end tells which was first.
	if p.deathError().Code == countersign.CodeOutOfMemory {
		i.calls.OutOfMemory()
	}
	p.buried = true
	if i.current == p {
		i.current = nil
		i.ready = make(chan struct{})
	}
}

// Usage implements runtime.Instance.
func (i *Instance) Usage() runtime.Usage {
	u := i.calls.Usage()
	u.MemoryBytes, u.MemoryMax = i.memory.Used(), i.memory.Peak()
	u.DroppedOutput = i.stdout.Dropped() + i.stderr.Dropped()
	i.mu.Lock()
	defer i.mu.Unlock()
	u.CPU = i.past
	if i.current != nil {
		u.CPU += i.current.usage.cpuTime()
		u.Sandboxes = 1
	}
	return u
}

// Invoke implements runtime.Instance.
func (i *Instance) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	return i.calls.Run(ctx, in, i.invoke)
}

// begin lets Close wait for a call, unless it has begun.
func (i *Instance) begin() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.requests.Add(1)
	return true
}

func (i *Instance) invoke(ctx context.Context, in *countersign.Invocation) ([]byte, *countersign.CallError) {
	if !i.begin() {
		return nil, i.options.Stopping()
	}
	defer i.requests.Done()
	ctx, cancel := context.WithCancel(ctx) // the calls that the function makes end with this one
	defer cancel()
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, i.options.Crowded(ctx)
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
			return nil, i.options.Stopping()
		case <-ctx.Done():
			return nil, i.options.Errorf(countersign.CodeUnavailable,
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
	if failure := i.options.Ended(ctx); failure != nil {
		return failure
	}
	return other
}

// reply turns a reply into a body or an error.
func (i *Instance) reply(ctx context.Context, r frame.Reply) ([]byte, *countersign.CallError) {
	if r.Code == "" {
		if size := int64(len(r.Body)); i.options.MaxReply > 0 && size > i.options.MaxReply {
			return nil, i.options.TooLarge(size)
		}
		return r.Body, nil
	}
	failure := i.options.Failed(r)
	if failure.Code == countersign.CodeBroken {
		return nil, failure
	}
	return nil, i.ended(ctx, failure)
}

// Describe returns the interface document of an executable, which it runs in a sandbox for at most limits.DescribeTime.
// shim is as in Options.
func Describe(ctx context.Context, executable []byte, shim string) ([]byte, error) {
	i, err := Start(executable, Options{Shim: shim,
		Options: runtime.Options{Function: "function", Limits: limits.Limits{Memory: limits.DescribeMemory}}})
	if err != nil {
		return nil, err
	}
	doc, err := i.describe(ctx)
	done, cancel := context.WithCancel(context.Background())
	cancel() // nothing is under way that would be worth waiting for
	return doc, errors.Join(err, i.Close(done))
}

func (i *Instance) describe(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.DescribeTime)
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
			return nil, &ExecutableError{fmt.Sprintf("it can't describe itself (%s): %s", limits.Clip(reply.Code),
				limits.Clip(reply.Message))}
		case !json.Valid(reply.Body):
			return nil, &ExecutableError{"it describes itself with something that is not JSON"}
		}
		return reply.Body, nil
	case <-ctx.Done():
		return nil, &ExecutableError{"it did not describe itself in time: does it use the SDK?"}
	}
}

// Close implements runtime.Instance.
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
