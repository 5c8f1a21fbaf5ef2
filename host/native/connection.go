package native

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"countersign"
	"countersign/host/frame"
)

// maxFrame is the longest frame that is read, whatever the limits of a function are.
const maxFrame = 256 << 20

// connection is the host's end of a function's socket.
type connection struct {
	process *process
	conn    net.Conn

	outgoing chan []byte   // frames that the writer sends
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
	answer chan frame.Reply        // closed without an answer when the process ends
}

func newConnection(p *process, conn net.Conn) *connection {
	return &connection{process: p, conn: conn, outgoing: make(chan []byte, 16), gone: make(chan struct{}),
		asked: map[uint32]*question{}, calling: map[uint32]context.CancelFunc{}}
}

// ask sends a frame and returns the stream on which the answer will come; 0 if the connection has ended.
func (c *connection) ask(q *question, appendFrame func(dst []byte, stream uint32) []byte) uint32 {
	q.answer = make(chan frame.Reply, 1)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return 0
	}
	c.next = max(c.next+1, 1)
	for c.asked[c.next] != nil { // after four thousand million questions numbers come again
		c.next = max(c.next+1, 1)
	}
	stream := c.next
	c.asked[stream] = q
	c.mu.Unlock()
	c.process.wake()
	c.send(q.ctx, func(dst []byte) []byte { return appendFrame(dst, stream) })
	return stream
}

// send has a frame written after its length. A function that does not read holds up the writer, and nobody for longer
// than ctx. What can't be sent because the process has ended is noticed where an answer is awaited.
func (c *connection) send(ctx context.Context, appendFrame func([]byte) []byte) {
	buf := appendFrame(make([]byte, 4, 512))
	binary.LittleEndian.PutUint32(buf, uint32(len(buf)-4))
	select {
	case c.outgoing <- buf:
	case <-ctx.Done():
	case <-c.gone:
	}
}

// transmit writes what send hands it, until the connection ends.
func (c *connection) transmit() {
	for {
		select {
		case buf := <-c.outgoing:
			if _, err := c.conn.Write(buf); err != nil && !errors.Is(err, net.ErrClosed) {
				c.process.kill(countersign.CodeUnavailable)
			}
		case <-c.gone:
			return
		}
	}
}

func (c *connection) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked) > 0
}

// receive handles frames until the connection ends, or breaks the convention.
func (c *connection) receive() {
	in := bufio.NewReaderSize(c.conn, 64<<10)
	for {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			c.process.disconnected(err)
			return
		}
		size := binary.LittleEndian.Uint32(length[:])
		if size > maxFrame {
			c.process.breach("it sent a frame of %d bytes", size)
			return
		}
		raw, err := readFrame(in, int64(size))
		if err == nil {
			err = c.handle(raw)
		}
		if err != nil {
			c.process.breach("%v", err)
			return
		}
	}
}

// readFrame reads a frame bit by bit: a length that is a lie costs no memory.
func readFrame(in io.Reader, size int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(in, size))
	if err == nil && int64(len(raw)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("reading a frame of %d bytes: %w", size, err)
	}
	return raw, nil
}

func (c *connection) handle(raw []byte) error {
	header, rest, err := frame.ParseHeader(raw)
	if err != nil {
		return err
	}
	switch header.Kind {
	case frame.KindReply:
		reply, err := frame.ParseReply(rest)
		if err != nil {
			return err
		}
		c.mu.Lock()
		q := c.asked[header.Stream]
		delete(c.asked, header.Stream)
		c.mu.Unlock()
		if q == nil {
			return fmt.Errorf("it answered what it was not asked (stream %d)", header.Stream)
		}
		q.answer <- reply
	case frame.KindCall:
		call, err := frame.ParseCall(rest)
		if err != nil {
			return err
		}
		return c.serve(header.Stream, call)
	case frame.KindCancel:
		c.mu.Lock()
		cancel := c.calling[header.Stream]
		c.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	default:
		return fmt.Errorf("it sent a frame of kind %d", header.Kind)
	}
	return nil
}

// serve makes a call for the function.
func (c *connection) serve(stream uint32, call frame.Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	parent := c.asked[call.Parent]
	if parent == nil || parent.in == nil {
		// The invocation may have ended a moment ago: that is no breach.
		c.serving.Go(func() {
			c.answer(context.Background(), stream, failureReply(countersign.Errorf(countersign.CodeCanceled, call.Callee,
				"the call that this one belongs to has ended")))
		})
		return nil
	}
	if c.calling[stream] != nil {
		return fmt.Errorf("it made two calls on stream %d", stream)
	}
	if len(c.calling) >= maxCalls {
		return fmt.Errorf("it made more than %d calls at the same time", maxCalls)
	}
	ctx, cancel := context.WithCancel(parent.ctx)
	if at, ok := ctx.Deadline(); !call.Deadline.IsZero() && (!ok || call.Deadline.Before(at)) {
		ctx, cancel = deadlineOf(ctx, cancel, call.Deadline)
	}
	c.calling[stream] = cancel
	c.serving.Go(func() {
		defer cancel()
		reply := c.process.owner.callOut(ctx, parent.in, call)
		c.mu.Lock()
		delete(c.calling, stream)
		c.mu.Unlock()
		c.answer(context.WithoutCancel(ctx), stream, reply)
	})
	return nil
}

// maxCalls bounds the calls that one function makes at the same time.
const maxCalls = 1024

func deadlineOf(ctx context.Context, cancel context.CancelFunc, at time.Time) (context.Context, context.CancelFunc) {
	limited, cancelLimited := context.WithDeadline(ctx, at)
	return limited, func() { cancelLimited(); cancel() }
}

func (c *connection) answer(ctx context.Context, stream uint32, reply frame.Reply) {
	c.send(ctx, func(dst []byte) []byte { return frame.AppendReply(dst, stream, reply) })
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

// failureReply tells the function the code and the reason of an error, not its cause, which may be another party's.
func failureReply(err error) frame.Reply {
	var failure *countersign.CallError
	if errors.As(err, &failure) {
		return frame.Reply{Code: string(failure.Code), Message: failure.Reason}
	}
	return frame.Reply{Code: string(countersign.CodeOf(err)), Message: "the call could not be made"}
}
