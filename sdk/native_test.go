//go:build !wasip1

package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// host is the other end of a native function's socket.
type host struct {
	t    *testing.T
	conn net.Conn
}

func (h host) send(frame []byte) {
	h.t.Helper()
	if _, err := h.conn.Write(appendField(nil, frame)); err != nil {
		h.t.Fatal(err)
	}
}

// receive reads a frame and checks its kind.
func (h host) receive(kind frameKind) (frameHeader, *reader) {
	h.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(h.conn, length[:]); err != nil {
		h.t.Fatal(err)
	}
	frame := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := io.ReadFull(h.conn, frame); err != nil {
		h.t.Fatal(err)
	}
	r := &reader{rest: frame}
	header, err := r.header()
	if err != nil || header.kind != kind {
		h.t.Fatalf("got a frame %+v, %v; want kind %d", header, err, kind)
	}
	return header, r
}

func invocationFrame(stream uint32, deadline int64, body string) []byte {
	frame := appendHeader(nil, frameInvocation, stream)
	frame = binary.LittleEndian.AppendUint64(frame, uint64(deadline))
	frame = binary.LittleEndian.AppendUint32(frame, 3)
	for _, field := range []string{"id", "spiffe://countersign.local/client/me", "own", "", body} {
		frame = appendField(frame, field)
	}
	return frame
}

// startConnection serves a handler that does what its request says.
func startConnection(t *testing.T) (host, chan error) {
	t.Helper()
	a, b := net.Pipe()
	c := newConnection("own", func(ctx context.Context, request, reply []byte) ([]byte, *Error) {
		in := invocationOf(ctx)
		switch string(request) {
		case "wait":
			<-ctx.Done()
			return reply, errorf(CodeFailed, "own", "%v", ctx.Err())
		case "panic":
			panic("deliberate")
		case "call":
			body, failure := platform.Load().call(ctx, in.stream, "other", []byte("42"))
			return append(reply, body...), failure
		}
		return append(reply, Caller(ctx)...), nil
	}, b)
	platform.Store(c)
	ended := make(chan error, 1)
	go func() { ended <- c.serve() }()
	t.Cleanup(func() {
		platform.Store(nil)
		a.Close()
		if err := <-ended; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
	return host{t, a}, ended
}

func TestNativeInvocations(t *testing.T) {
	h, _ := startConnection(t)
	h.send(invocationFrame(7, 0, "hello"))
	header, r := h.receive(frameReply)
	if body, failure := parseReply(r, "own"); failure != nil || header.stream != 7 ||
		string(body) != "spiffe://countersign.local/client/me" {
		t.Errorf("got %q, %v on stream %d", body, failure, header.stream)
	}
	h.send(invocationFrame(8, 0, "panic"))
	_, r = h.receive(frameReply)
	_, failure := parseReply(r, "own")
	if failure == nil || failure.Code != CodePanicked || failure.Message != "deliberate" {
		t.Errorf("got %v", failure)
	}
}

func TestNativeCallsCrossEachOther(t *testing.T) {
	h, _ := startConnection(t)
	h.send(invocationFrame(1, 0, "wait"))
	h.send(invocationFrame(2, time.Now().Add(time.Hour).UnixNano(), "call"))
	header, r := h.receive(frameCall)
	parent, deadline := r.uint32(), int64(r.uint64())
	callee, body := r.string(), r.string()
	if parent != 2 || deadline == 0 || callee != "other" || body != "42" || r.end() != nil {
		t.Errorf("call of %q with %q by %d, deadline %d", callee, body, parent, deadline)
	}
	reply := startReply(nil, header.stream)
	reply = append(reply, "answer"...)
	finishReply(reply, 0)
	h.send(reply)
	header, r = h.receive(frameReply)
	if body, failure := parseReply(r, ""); header.stream != 2 || string(body) != "answer" || failure != nil {
		t.Errorf("got %q, %v on stream %d", body, failure, header.stream)
	}
	h.send(appendHeader(nil, frameCancel, 1))
	header, r = h.receive(frameReply)
	if _, failure := parseReply(r, ""); header.stream != 1 || failure == nil || failure.Message != "context canceled" {
		t.Errorf("got %v on stream %d", failure, header.stream)
	}
}

func TestNativeCallEndsWithItsDeadline(t *testing.T) {
	h, _ := startConnection(t)
	h.send(invocationFrame(1, time.Now().Add(50*time.Millisecond).UnixNano(), "call"))
	call, _ := h.receive(frameCall)
	if cancel, _ := h.receive(frameCancel); cancel.stream != call.stream {
		t.Errorf("stream %d is canceled, want %d", cancel.stream, call.stream)
	}
	_, r := h.receive(frameReply)
	if _, failure := parseReply(r, ""); failure == nil || failure.Code != CodeDeadline {
		t.Errorf("got %v", failure)
	}
}

func TestNativeDescribe(t *testing.T) {
	withRegistry(t)
	h, _ := startConnection(t)
	h.send(appendHeader(nil, frameDescribe, 9))
	_, r := h.receive(frameReply)
	if _, failure := parseReply(r, ""); failure == nil || !strings.Contains(failure.Message, "sdk.Handle") {
		t.Errorf("without a handler: %v", failure)
	}
	Handle(Define[int, string]("own"), func(context.Context, int) (string, error) { return "", nil })
	Define[string, bool]("callee")
	h.send(appendHeader(nil, frameDescribe, 9))
	header, r := h.receive(frameReply)
	doc, failure := parseReply(r, "")
	const want = `{"calls":{"callee":{"reply":{"kind":"boolean"},"request":{"kind":"string"}}},"function":"own",` +
		`"reply":{"kind":"string"},"request":{"format":"int64","kind":"integer"}}`
	if failure != nil || header.stream != 9 || string(doc) != want {
		t.Errorf("got %s, %v", doc, failure)
	}
}

// withRegistry gives a test an empty registry.
func withRegistry(t *testing.T) {
	t.Helper()
	registry.Lock()
	definitions, handlers := registry.definitions, registry.handlers
	registry.definitions, registry.handlers = map[string]definition{}, map[string]handler{}
	registry.Unlock()
	t.Cleanup(func() {
		registry.Lock()
		registry.definitions, registry.handlers = definitions, handlers
		registry.Unlock()
	})
}

func TestNativeRefusesMalformedFrames(t *testing.T) {
	for name, frame := range map[string][]byte{
		"nothing":          {},
		"other version":    {9, 1, 0, 0, 0, 0, 0, 0},
		"unknown kind":     appendHeader(nil, 77, 0),
		"short invocation": invocationFrame(1, 0, "x")[:30],
		"long invocation":  append(invocationFrame(1, 0, "x"), 0),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			ended := make(chan error, 1)
			go func() { ended <- newConnection("own", nil, b).serve() }()
			host{t, a}.send(frame)
			if err := <-ended; err == nil {
				t.Error("no error")
			}
		})
	}
}

// FuzzFrames feeds the reader with anything; it must not panic.
func FuzzFrames(f *testing.F) {
	f.Add(invocationFrame(1, 5, "body"))
	f.Add(appendFailure(nil, 2, errorf(CodeFailed, "f", "no")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := &reader{rest: frame}
		header, err := r.header()
		if err != nil {
			return
		}
		copied := *r
		if in, body, err := parseInvocation(r, header.stream); err == nil && (in == nil || len(body) > len(frame)) {
			t.Errorf("invocation %+v with %d bytes", in, len(body))
		}
		if body, failure := parseReply(&copied, "f"); failure == nil && len(body) > len(frame) {
			t.Errorf("reply with %d bytes", len(body))
		}
	})
}
