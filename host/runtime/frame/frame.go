// Package frame is the host's half of the messages between host and function, the same for WebAssembly and for native
// functions. docs/wasm-abi.md is the normative description.
//
// It owns the layout and the refusal of malformed frames. It must not know how frames travel.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"countersign"
)

// version of the frames that this package reads and writes.
const version = 1

// Kind tells what a frame carries.
type Kind uint8

// The kinds of frames.
const (
	KindInvocation Kind = 1 // host → function
	KindReply      Kind = 2 // the answer to an invocation, a call or a describe
	KindCall       Kind = 3 // native function → host
	KindCancel     Kind = 4 // either way: the answer is not awaited any more
	KindDescribe   Kind = 5 // host → native function
)

const (
	// HeaderSize is the length of a header.
	HeaderSize = 8
	// Overhead is the most that a reply frame that succeeded is longer than its body.
	Overhead = HeaderSize + 4 + 4 + 4
)

// ErrMalformed is the error of every frame that does not follow the description.
var ErrMalformed = errors.New("malformed frame")

// Header begins every frame. Stream numbers the answer awaited by who asked; it is 0 in WebAssembly.
type Header struct {
	Kind   Kind
	Stream uint32
}

// Reply is a function's answer to an invocation or to a describe, and the host's to a call.
type Reply struct {
	Code    string // "" is success
	Message string
	Body    []byte // a part of the frame that was parsed
}

// Call is a call that a native function makes.
type Call struct {
	Parent   uint32    // stream of the invocation during which it is made
	Deadline time.Time // zero: that of the invocation
	Callee   string
	Body     []byte // a part of the frame that was parsed
}

func appendHeader(dst []byte, kind Kind, stream uint32) []byte {
	dst = append(dst, version, byte(kind), 0, 0)
	return binary.LittleEndian.AppendUint32(dst, stream)
}

func appendField(dst []byte, field string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(field)))
	return append(dst, field...)
}

// AppendInvocation appends the frame of an invocation whose caller waits until deadline (zero: for ever).
func AppendInvocation(dst []byte, stream uint32, in *countersign.Invocation, deadline time.Time) []byte {
	return append(AppendInvocationHead(dst, stream, in, deadline), in.Body...)
}

// AppendInvocationHead appends all of the frame but in's body, which ends it.
func AppendInvocationHead(dst []byte, stream uint32, in *countersign.Invocation, deadline time.Time) []byte {
	dst = appendHeader(dst, KindInvocation, stream)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(unixNano(deadline)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(in.Hops))
	dst = appendField(dst, in.ID)
	dst = appendField(dst, in.Caller)
	dst = appendField(dst, in.Function)
	dst = appendField(dst, in.Traceparent)
	return binary.LittleEndian.AppendUint32(dst, uint32(len(in.Body)))
}

// InvocationSize returns the length of the frame of in.
func InvocationSize(in *countersign.Invocation) int {
	return HeaderSize + 8 + 4 + 5*4 + len(in.ID) + len(in.Caller) + len(in.Function) + len(in.Traceparent) + len(in.Body)
}

// AppendReply appends the frame of a reply.
func AppendReply(dst []byte, stream uint32, r Reply) []byte {
	return append(AppendReplyHead(dst, stream, r), r.Body...)
}

// AppendReplyHead appends all of the frame but r's body, which ends it.
func AppendReplyHead(dst []byte, stream uint32, r Reply) []byte {
	dst = appendHeader(dst, KindReply, stream)
	dst = appendField(dst, r.Code)
	dst = appendField(dst, r.Message)
	return binary.LittleEndian.AppendUint32(dst, uint32(len(r.Body)))
}

// AppendSignal appends a frame that is only a header: KindCancel or KindDescribe.
func AppendSignal(dst []byte, kind Kind, stream uint32) []byte {
	return appendHeader(dst, kind, stream)
}

// ParseHeader reads the header of a frame and returns what follows it.
func ParseHeader(frame []byte) (Header, []byte, error) {
	if len(frame) < HeaderSize {
		return Header{}, nil, fmt.Errorf("%w: %d bytes are no header", ErrMalformed, len(frame))
	}
	if frame[0] != version {
		return Header{}, nil, fmt.Errorf("%w: version %d, want %d", ErrMalformed, frame[0], version)
	}
	if frame[2] != 0 || frame[3] != 0 {
		return Header{}, nil, fmt.Errorf("%w: reserved bytes are not zero", ErrMalformed)
	}
	return Header{Kind: Kind(frame[1]), Stream: binary.LittleEndian.Uint32(frame[4:])}, frame[HeaderSize:], nil
}

// ParseReply reads what follows the header of a reply.
func ParseReply(rest []byte) (Reply, error) {
	r := reader{rest: rest}
	code, message, body := r.field(), r.field(), r.field()
	if err := r.end(); err != nil {
		return Reply{}, fmt.Errorf("reply: %w", err)
	}
	return Reply{Code: string(code), Message: string(message), Body: body}, nil
}

// ParseCall reads what follows the header of a call.
func ParseCall(rest []byte) (Call, error) {
	r := reader{rest: rest}
	c := Call{Parent: uint32(r.number(4)), Deadline: Time(int64(r.number(8)))}
	c.Callee, c.Body = string(r.field()), r.field()
	if err := r.end(); err != nil {
		return Call{}, fmt.Errorf("call: %w", err)
	}
	return c, nil
}

// Time reads a deadline: nanoseconds of Unix time, where 0 is none.
func Time(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// reader takes fields off a frame. After the first fault it yields nothing.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) take(n uint64) []byte {
	if r.broken || n > uint64(len(r.rest)) {
		r.broken = true
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) number(size uint64) uint64 {
	var b [8]byte
	copy(b[:], r.take(size))
	return binary.LittleEndian.Uint64(b[:])
}

func (r *reader) field() []byte { return r.take(r.number(4)) }

func (r *reader) end() error {
	if r.broken {
		return fmt.Errorf("%w: cut off", ErrMalformed)
	}
	if len(r.rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(r.rest))
	}
	return nil
}
