package sdk

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Frames are the messages between host and function, the same in WebAssembly and over a native function's socket.
// docs/wasm-abi.md is their normative description; this file is the only place in the SDK that knows their layout.

const frameVersion = 1

type frameKind uint8

const (
	frameInvocation frameKind = 1 // host → function
	frameReply      frameKind = 2 // the answer to an invocation, call or describe
	frameCall       frameKind = 3 // native function → host
	frameCancel     frameKind = 4 // either way: the answer is not awaited any more
	frameDescribe   frameKind = 5 // host → native function
)

// headerSize is version, kind, two zero bytes, and the stream number.
const headerSize = 8

// replyPrefixSize is that of a reply that succeeded: header, empty code, empty message, body length.
const replyPrefixSize = headerSize + 4 + 4 + 4

var errFrame = errors.New("malformed frame")

type frameHeader struct {
	kind   frameKind
	stream uint32
}

func appendHeader(dst []byte, kind frameKind, stream uint32) []byte {
	dst = append(dst, frameVersion, byte(kind), 0, 0)
	return binary.LittleEndian.AppendUint32(dst, stream)
}

func appendField[T string | []byte](dst []byte, field T) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(field)))
	return append(dst, field...)
}

// startReply begins a reply that will succeed; finishReply completes it once the body has been appended to it.
func startReply(dst []byte, stream uint32) []byte {
	dst = appendHeader(dst, frameReply, stream)
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// finishReply fills in the body length of a reply that starts at offset start of frame.
func finishReply(frame []byte, start int) {
	binary.LittleEndian.PutUint32(frame[start+replyPrefixSize-4:], uint32(len(frame)-start-replyPrefixSize))
}

func appendFailure(dst []byte, stream uint32, failure *Error) []byte {
	dst = appendHeader(dst, frameReply, stream)
	dst = appendField(dst, string(failure.Code))
	dst = appendField(dst, failure.Message)
	return appendField(dst, "")
}

func appendCall(dst []byte, stream, parent uint32, deadline int64, callee string, body []byte) []byte {
	dst = appendHeader(dst, frameCall, stream)
	dst = binary.LittleEndian.AppendUint32(dst, parent)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(deadline))
	dst = appendField(dst, callee)
	return appendField(dst, body)
}

// reader takes a frame apart. After the first fault it returns zero values and keeps the error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.rest) {
		r.err = errFrame
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// bytes returns a field without copying it.
func (r *reader) bytes() []byte { return r.take(int(r.uint32())) }

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.err = errFrame
	}
	return r.err
}

func (r *reader) header() (frameHeader, error) {
	b := r.take(headerSize)
	if b == nil {
		return frameHeader{}, errFrame
	}
	if b[0] != frameVersion {
		return frameHeader{}, fmt.Errorf("frame of version %d, this program speaks %d", b[0], frameVersion)
	}
	return frameHeader{kind: frameKind(b[1]), stream: binary.LittleEndian.Uint32(b[4:])}, nil
}

// parseReply returns the body of a reply to a call of callee, or its failure. The body is a part of frame.
func parseReply(r *reader, callee string) ([]byte, *Error) {
	code, message, body := r.string(), r.string(), r.bytes()
	if err := r.end(); err != nil {
		return nil, errorf(CodeInternal, callee, "reading the host's reply: %v", err)
	}
	if code != "" {
		return nil, &Error{Code: Code(code), Function: callee, Message: message}
	}
	return body, nil
}
