//go:build !wasip1

package sdk

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

const onWasm = false

// socketVariable names the file descriptor of the connection to the host.
const socketVariable = "COUNTERSIGN_SOCKET_FD"

// maxFrame bounds what is read at once; the host's own limits are lower.
const maxFrame = 256 << 20

// platform is the connection to the host, or nil where there is none.
var platform atomic.Pointer[connection]

// connection is a native function's end of the socket: frames, each after its length, in both directions.
type connection struct {
	name    string
	handler handler
	in      *bufio.Reader

	write sync.Mutex
	out   io.Writer

	mu      sync.Mutex
	next    uint32                // last stream number of a call
	waiting map[uint32]chan reply // calls by stream
	running map[uint32]*invocation
}

type reply struct {
	body    []byte
	failure *Error
}

func dispatch(ctx context.Context, callee string, request []byte) ([]byte, *Error) {
	c := platform.Load()
	if c == nil {
		return localCall(ctx, callee, request)
	}
	in := invocationOf(ctx)
	if in == nil {
		return nil, errorf(CodeBadRequest, callee, "a call needs the context that the handler was given")
	}
	return c.call(ctx, in.stream, callee, request)
}

func serveMain() {
	variable := os.Getenv(socketVariable)
	if variable == "" {
		fmt.Fprintln(os.Stderr, "This is a Countersign function. It is started by the platform, which hands it a socket: "+
			"deploy it with `bazel run //:deploy` and call it with `countersign call`.")
		os.Exit(2)
	}
	if err := serveVariable(variable); err != nil {
		fmt.Fprintf(os.Stderr, "serving calls: %v\n", err)
		os.Exit(2)
	}
}

func serveVariable(variable string) error {
	fd, err := strconv.ParseUint(variable, 10, 31)
	if err != nil {
		return fmt.Errorf("%s=%q is not a file descriptor", socketVariable, variable)
	}
	socket := os.NewFile(uintptr(fd), "host")
	if socket == nil {
		return fmt.Errorf("%s=%q is not a file descriptor", socketVariable, variable)
	}
	name, h, err := served()
	if err != nil {
		return err
	}
	c := newConnection(name, h, socket)
	platform.Store(c)
	return c.serve()
}

func newConnection(name string, h handler, socket io.ReadWriter) *connection {
	return &connection{name: name, handler: h, in: bufio.NewReaderSize(socket, 64<<10), out: socket,
		waiting: map[uint32]chan reply{}, running: map[uint32]*invocation{}}
}

// serve handles frames until the host closes the connection.
func (c *connection) serve() error {
	for {
		frame, err := c.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from the host: %w", err)
		}
		if err := c.handle(frame); err != nil {
			return err
		}
	}
}

func (c *connection) read() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(c.in, frame); err != nil {
		return nil, fmt.Errorf("a frame is cut off: %v", err)
	}
	return frame, nil
}

// send writes the frame that append makes, in one write.
func (c *connection) send(appendFrame func([]byte) []byte) error {
	buf := appendFrame(make([]byte, 4, 512))
	binary.LittleEndian.PutUint32(buf, uint32(len(buf)-4))
	c.write.Lock()
	defer c.write.Unlock()
	_, err := c.out.Write(buf)
	return err
}

func (c *connection) handle(frame []byte) error {
	r := &reader{rest: frame}
	header, err := r.header()
	if err != nil {
		return err
	}
	switch header.kind {
	case frameInvocation:
		in, body, err := parseInvocation(r, header.stream)
		if err != nil {
			return fmt.Errorf("reading an invocation: %w", err)
		}
		c.mu.Lock()
		c.running[in.stream] = in
		c.mu.Unlock()
		go c.invoke(in, body)
	case frameReply:
		body, failure := parseReply(r, "")
		c.mu.Lock()
		waiting := c.waiting[header.stream]
		delete(c.waiting, header.stream)
		c.mu.Unlock()
		if waiting != nil {
			waiting <- reply{body, failure}
		}
	case frameCancel:
		c.mu.Lock()
		in := c.running[header.stream]
		c.mu.Unlock()
		if in != nil {
			in.end(context.Canceled)
		}
	case frameDescribe:
		return c.send(func(dst []byte) []byte { return appendDescription(dst, header.stream) })
	default:
		return fmt.Errorf("a frame of unknown kind %d", header.kind)
	}
	return nil
}

func (c *connection) invoke(in *invocation, body []byte) {
	err := c.send(func(dst []byte) []byte { return answer(c.name, c.handler, in, body, dst) })
	c.mu.Lock()
	delete(c.running, in.stream)
	c.mu.Unlock()
	if err != nil {
		fmt.Fprintf(os.Stderr, "sending a reply to the host: %v\n", err)
		os.Exit(2)
	}
}

// call asks the host and waits for its reply, or for the end of ctx.
func (c *connection) call(ctx context.Context, parent uint32, callee string, request []byte) ([]byte, *Error) {
	answer := make(chan reply, 1)
	c.mu.Lock()
	c.next++
	stream := c.next
	c.waiting[stream] = answer
	c.mu.Unlock()
	deadline := callDeadline(ctx)
	err := c.send(func(dst []byte) []byte { return appendCall(dst, stream, parent, deadline, callee, request) })
	if err != nil {
		return nil, errorf(CodeInternal, callee, "sending the call to the host: %v", err)
	}
	select {
	case got := <-answer:
		if got.failure != nil {
			got.failure.Function = callee
		}
		return got.body, got.failure
	case <-ctx.Done():
	}
	c.mu.Lock()
	delete(c.waiting, stream)
	c.mu.Unlock()
	// An error of this write is one of the connection, which ends the program elsewhere.
	_ = c.send(func(dst []byte) []byte { return appendHeader(dst, frameCancel, stream) })
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, errorf(CodeDeadline, callee, "the deadline passed while the call was under way")
	}
	return nil, errorf(CodeCanceled, callee, "the context was canceled while the call was under way")
}
