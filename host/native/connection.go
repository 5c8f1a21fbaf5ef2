package native

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// connection is the host's end of a function's socket.
type connection struct {
	process *process
	conn    net.Conn

	outgoing chan message  // what the writer sends; it holds one at a time
	gone     chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	next    uint32
	asked   map[uint32]*question          // invocations and describes by stream
	calling map[uint32]context.CancelFunc // calls of the function by stream
	ended   bool
	serving sync.WaitGroup // calls of the function
}

// question is what the host awaits an answer to.
type question struct {
	ctx    context.Context
	in     *countersign.Invocation // nil: describe
	charge *charge                 // what is held of the request, and then of the reply
	answer chan answer             // closed without an answer when the process ends
}

// answer is a reply, or why there is none.
type answer struct {
	reply   frame.Reply
	failure *countersign.CallError
}

func newConnection(p *process, conn net.Conn) *connection {
	return &connection{process: p, conn: conn, outgoing: make(chan message), gone: make(chan struct{}),
		asked: map[uint32]*question{}, calling: map[uint32]context.CancelFunc{}}
}

// ask sends a frame and returns the stream on which the answer will come; 0 if the connection has ended.
func (c *connection) ask(q *question, make func(stream uint32) message) uint32 {
	stream := c.expect(q)
	if stream != 0 {
		c.send(q.ctx, make(stream))
	}
	return stream
}

// expect chooses the stream of a question; 0 if the connection has ended.
func (c *connection) expect(q *question) uint32 {
	q.answer = make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0
	}
	c.next = max(c.next+1, 1)
	for c.asked[c.next] != nil { // after four thousand million questions numbers come again
		c.next = max(c.next+1, 1)
	}
	c.asked[c.next] = q
	return c.next
}

// awaited returns the question that is asked on a stream, or nil.
func (c *connection) awaited(stream uint32) *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[stream]
}

// settle answers a question, unless the connection has ended meanwhile.
func (c *connection) settle(stream uint32, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.asked[stream]; q != nil {
		delete(c.asked, stream)
		q.answer <- a
	}
}

// cancel ends a call that the function awaits no more.
func (c *connection) cancel(stream uint32) {
	c.mu.Lock()
	cancel := c.calling[stream]
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// crowded tells whether the function makes as many calls as it may.
func (c *connection) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calling) >= limits.Calls
}

// refuse answers a call that is not made. It waits until the function reads: what it does not read, it can't make more of.
func (c *connection) refuse(stream uint32, code countersign.Code, format string, args ...any) {
	c.send(context.Background(), replyMessage(stream, runtime.Refusal(code, fmt.Sprintf(format, args...))))
}

// errTwice says that a function made two calls on one stream.
var errTwice = errors.New("it made two calls on one stream")

// serve makes a call for the function, whose bytes held accounts for.
func (c *connection) serve(stream uint32, call frame.Call, held *charge) error {
	if len(call.Callee) > limits.CalleeName {
		held.end()
		c.refuse(stream, countersign.CodeUnknownFunction, "no function has a name of %d bytes", len(call.Callee))
		return nil
	}
	ctx, cancel, parent, err := c.register(stream, call)
	if parent == nil || err != nil {
		held.end()
		if err == nil {
			// The invocation may have ended a moment ago: that is no breach.
			c.refuse(stream, countersign.CodeCanceled, "the call that this one belongs to has ended")
		}
		return err
	}
	c.serving.Go(func() {
		defer cancel()
		ctx, ends := runtime.Until(ctx, call.Deadline)
		defer ends()
		reply := c.process.owner.options.Call(ctx, parent, call.Callee, call.Body)
		c.mu.Lock()
		delete(c.calling, stream)
		c.mu.Unlock()
		c.reply(stream, reply, held)
	})
	return nil
}

// register notes a call of the function. Its parent is nil if that is not under way.
func (c *connection) register(stream uint32, call frame.Call) (context.Context, context.CancelFunc, *countersign.Invocation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.asked[call.Parent]
	if c.ended || q == nil || q.in == nil {
		return nil, nil, nil, nil
	}
	if c.calling[stream] != nil {
		return nil, nil, nil, fmt.Errorf("%w (%d)", errTwice, stream)
	}
	ctx, cancel := context.WithCancel(q.ctx)
	c.calling[stream] = cancel
	return ctx, cancel, q.in, nil
}

// reply answers a call that was made. The function learns that there is no room for what it asked for: the callee did
// its work.
func (c *connection) reply(stream uint32, reply frame.Reply, held *charge) {
	size := len(reply.Body) + len(reply.Message)
	if !held.change(int64(size)) {
		c.process.owner.calls.OutOfMemory()
		reply = runtime.Refusal(countersign.CodeOutOfMemory, fmt.Sprintf(
			"the reply has %d bytes, for which the caller's spec leaves no room: its memory is %d bytes", size,
			c.process.owner.options.Memory))
	}
	m := replyMessage(stream, reply)
	m.held = held
	c.send(context.Background(), m)
}

// close ends the connection after the process has ended, and leaves nothing waiting.
func (c *connection) close() {
	// Nothing can be lost any more.
	_ = c.conn.Close()
	close(c.gone)
	c.mu.Lock()
	c.ended = true
	asked := c.asked
	c.asked = map[uint32]*question{}
	for _, cancel := range c.calling {
		cancel()
	}
	c.mu.Unlock()
	for _, q := range asked {
		close(q.answer)
	}
	c.serving.Wait()
}
