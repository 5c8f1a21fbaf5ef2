package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"countersign"
	"countersign/host/native/cgroup"
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

// outputHeld is how many bytes of a function's two streams the host holds at most.
const outputHeld = 2 * output.Held

// Options of a native function.
type Options struct {
	runtime.Options
	Shim  string // executable whose main runs Shim for ShimCommand; "" is the program itself
	Group Group
}

// Instance is one allocation of a native function: one sandbox, its process, made anew when it dies. It implements
// runtime.Instance.
type Instance struct {
	options Options
	image   *os.File // the executable, sealed in memory
	shim    *os.File
	slots   chan struct{}
	tree    *cgroup.Tree
	group   *cgroup.Group  // what the process may use, by the kernel's account
	held    *limits.Memory // what the host holds for the function: requests, replies, output
	stdout  *output.Stream
	stderr  *output.Stream

	mu      sync.Mutex
	current *process      // nil while it is being restarted
	ready   chan struct{} // closed when there is a current, or there will be none
	past    time.Duration // CPU time of earlier processes
	most    int64         // bytes of memory that were seen in use
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
		held: limits.NewMemory(o.Memory, nil)}
	i.stdout, i.stderr = output.New(o.Stdout), output.New(o.Stderr)
	i.stopping, i.stop = context.WithCancel(context.Background())
	p, err := i.first()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting function %q: %w", o.Function, err), i.release())
	}
	i.adopt(p)
	i.supervisor.Go(func() { i.supervise(p) })
	return i, nil
}

// first makes what all processes of the instance share, and the first of them.
func (i *Instance) first() (*process, error) {
	if !i.held.Take(outputHeld) {
		return nil, &ExecutableError{fmt.Sprintf("%d bytes of memory do not hold the output that waits for a reader",
			i.options.Memory)}
	}
	if err := i.makeGroup(); err != nil {
		return nil, err
	}
	return startProcess(i)
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
	i.past += p.cpu
	// Only the end tells why it came: by the kernel, or by the program itself when it is given no more.
	if p.deathError().Code == countersign.CodeOutOfMemory {
		i.calls.OutOfMemory()
	}
	p.buried = true
	if i.current == p {
		i.current = nil
		i.ready = make(chan struct{})
	}
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
	held, failure := i.place(ctx, int64(frame.InvocationSize(in)))
	if failure != nil {
		return nil, failure
	}
	free := func() { held.end(); <-i.slots }
	q := &question{ctx: ctx, in: in, charge: held}
	deadline, _ := ctx.Deadline()
	p, stream, failure := i.ask(ctx, q, func(stream uint32) message { return invocationMessage(stream, in, deadline) })
	if failure != nil {
		free()
		return nil, failure
	}
	select {
	case got, ok := <-q.answer:
		free()
		switch {
		case !ok:
			<-p.died
			return nil, i.ended(ctx, p.deathError())
		case got.failure != nil:
			return nil, got.failure
		}
		return i.reply(ctx, got.reply)
	case <-ctx.Done():
		go p.abandon(stream, q, free)
		return nil, i.ended(ctx, nil)
	}
}

// place waits for one of the places, and accounts for the size bytes of the call meanwhile and from then on.
func (i *Instance) place(ctx context.Context, size int64) (*charge, *countersign.CallError) {
	select {
	case i.slots <- struct{}{}:
		held := take(i.held, size)
		if held == nil {
			<-i.slots
			return nil, i.full()
		}
		return held, nil
	default:
	}
	held := takeWaiting(i.held, size)
	if held == nil {
		return nil, i.full()
	}
	select {
	case i.slots <- struct{}{}:
		return held, nil
	case <-ctx.Done():
		held.end()
		return nil, i.options.Crowded(ctx)
	}
}

// ask sends a frame to the process, or to the next one if this one has just died.
func (i *Instance) ask(ctx context.Context, q *question, make func(stream uint32) message) (
	*process, uint32, *countersign.CallError) {
	for {
		p, failure := i.process(ctx)
		if failure != nil {
			return nil, 0, failure
		}
		if stream := p.ask(q, make); stream != 0 {
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
	p.send(ctx, signalMessage(stream, frame.KindCancel))
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
	err := errors.Join(i.image.Close(), i.shim.Close())
	if i.group != nil {
		i.seen()
		err = errors.Join(err, i.group.Remove())
		i.tree.Tidy()
	}
	if err != nil {
		return fmt.Errorf("giving back what function %q had: %w", i.options.Function, err)
	}
	return nil
}
