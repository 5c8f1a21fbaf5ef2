package native

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"countersign"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// gathered is up to how many bytes a body is copied behind what precedes it, rather than written by itself.
const gathered = 4 << 10

// message is a frame on its way to the function. A large body is not copied.
type message struct {
	head, body []byte  // head begins with room for the length
	held       *charge // ended when the frame has been written, or will not be; nil: that is for somebody else to do
}

// newMessage makes a message of a frame whose head is appended.
func newMessage(appendHead func([]byte) []byte, body []byte) message {
	m := message{head: appendHead(make([]byte, 4, 512)), body: body}
	binary.LittleEndian.PutUint32(m.head, uint32(len(m.head)-4+len(body)))
	if len(body) <= gathered {
		m.head, m.body = append(m.head, body...), nil
	}
	return m
}

func invocationMessage(stream uint32, in *countersign.Invocation, deadline time.Time) message {
	return newMessage(func(dst []byte) []byte { return frame.AppendInvocationHead(dst, stream, in, deadline) }, in.Body)
}

func replyMessage(stream uint32, r frame.Reply) message {
	return newMessage(func(dst []byte) []byte { return frame.AppendReplyHead(dst, stream, r) }, r.Body)
}

func signalMessage(stream uint32, kind frame.Kind) message {
	return newMessage(func(dst []byte) []byte { return frame.AppendSignal(dst, kind, stream) }, nil)
}

func (m message) end() {
	if m.held != nil {
		m.held.end()
	}
}

// send has a frame written. A function that does not read holds up the writer, and nobody for longer than ctx. What
// can't be sent because the process has ended is noticed where an answer is awaited.
func (c *connection) send(ctx context.Context, m message) {
	select {
	case c.outgoing <- m:
		return
	case <-ctx.Done():
	case <-c.gone:
	}
	m.end()
}

// transmit writes what send hands it, until the connection ends.
func (c *connection) transmit() {
	for {
		select {
		case m := <-c.outgoing:
			buffers := net.Buffers{m.head, m.body}
			_, err := buffers.WriteTo(c.conn)
			m.end()
			if err != nil && !errors.Is(err, net.ErrClosed) {
				c.process.disconnected(err)
			}
		case <-c.gone:
			return
		}
	}
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
		switch err := c.handle(in, int64(binary.LittleEndian.Uint32(length[:]))); {
		case errors.Is(err, errCutOff):
			c.process.disconnected(err)
			return
		case err != nil:
			c.process.breach("%v", err)
			return
		}
	}
}

// handle reads a frame of size bytes. No more of it is held than its header before it is known that there is room.
func (c *connection) handle(in *bufio.Reader, size int64) error {
	if size > limits.Frame || size < frame.HeaderSize {
		return fmt.Errorf("it sent a frame of %d bytes", size)
	}
	var start [frame.HeaderSize]byte
	if _, err := io.ReadFull(in, start[:]); err != nil {
		return cutOff(size, err)
	}
	header, _, err := frame.ParseHeader(start[:])
	if err != nil {
		return err
	}
	rest := size - frame.HeaderSize
	switch {
	case header.Kind == frame.KindReply:
		return c.handleReply(in, header.Stream, rest)
	case header.Kind == frame.KindCall:
		return c.handleCall(in, header.Stream, rest)
	case header.Kind == frame.KindCancel && rest == 0:
		c.cancel(header.Stream)
		return nil
	}
	return fmt.Errorf("it sent a frame of kind %d with %d bytes", header.Kind, rest)
}

// handleReply reads what follows the header of a reply.
func (c *connection) handleReply(in *bufio.Reader, stream uint32, size int64) error {
	q := c.awaited(stream)
	if q == nil {
		return fmt.Errorf("it answered what it was not asked (stream %d)", stream)
	}
	owner := c.process.owner
	const beside = frame.Overhead - frame.HeaderSize // the lengths of the fields
	switch most := owner.options.MaxReply; {
	case q.in != nil && most > 0 && size > most+beside+limits.Message+limits.CalleeName:
		c.settle(stream, answer{failure: owner.options.TooLarge(size - beside)})
		return skip(in, size)
	case !q.charge.change(size):
		owner.calls.OutOfMemory()
		c.settle(stream, answer{failure: owner.options.Errorf(countersign.CodeOutOfMemory,
			"its reply has %d bytes, for which its spec's %d bytes of memory leave no room", size-beside, owner.options.Memory)})
		return skip(in, size)
	}
	rest, err := read(in, size)
	if err != nil {
		return err
	}
	reply, err := frame.ParseReply(rest)
	if err != nil {
		return err
	}
	c.settle(stream, answer{reply: reply})
	return nil
}

// handleCall reads what follows the header of a call.
func (c *connection) handleCall(in *bufio.Reader, stream uint32, size int64) error {
	crowded := c.crowded()
	var held *charge
	if !crowded {
		held = take(c.process.owner.held, size)
	}
	if held == nil {
		if err := skip(in, size); err != nil {
			return err
		}
		if crowded {
			c.refuse(stream, countersign.CodeOverloaded, "the caller makes %d calls already", limits.Calls)
			return nil
		}
		failure := c.process.owner.full()
		c.refuse(stream, failure.Code, "%s", failure.Reason)
		return nil
	}
	rest, err := read(in, size)
	if err == nil {
		var call frame.Call
		if call, err = frame.ParseCall(rest); err == nil {
			return c.serve(stream, call, held)
		}
	}
	held.end()
	return err
}

// read reads a part of a frame for which there is room.
func read(in io.Reader, size int64) ([]byte, error) {
	part := make([]byte, size)
	if _, err := io.ReadFull(in, part); err != nil {
		return nil, cutOff(size, err)
	}
	return part, nil
}

// skip reads a part of a frame that nobody is to see.
func skip(in io.Reader, size int64) error {
	if _, err := io.CopyN(io.Discard, in, size); err != nil {
		return cutOff(size, err)
	}
	return nil
}

// errCutOff is how a connection ends within a frame.
var errCutOff = errors.New("a frame is cut off")

func cutOff(size int64, err error) error {
	return fmt.Errorf("reading %d bytes: %w: %w", size, errCutOff, err)
}
