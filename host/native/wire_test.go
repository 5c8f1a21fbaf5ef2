package native

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// wired is the host's end of a connection without a process, and the function's end of it.
type wired struct {
	*connection
	t        *testing.T
	instance *Instance
	function net.Conn
}

func wire(t *testing.T, o runtime.Options) wired {
	t.Helper()
	ours, end, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.FileConn(end)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	i := &Instance{options: Options{Options: o}, held: limits.NewMemory(o.Memory, nil)}
	w := wired{connection: newConnection(&process{owner: i}, ours), t: t, instance: i, function: theirs}
	t.Cleanup(func() { w.close(); theirs.Close() })
	return w
}

// invocation is one that is under way.
func (w wired) invocation() (uint32, *question) {
	q := &question{ctx: context.Background(), in: &countersign.Invocation{}, charge: take(w.instance.held, 100)}
	return w.expect(q), q
}

// get has the host read frames.
func (w wired) get(frames ...[]byte) error {
	in := bufio.NewReader(bytes.NewReader(bytes.Join(frames, nil)))
	for range frames {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return err
		}
		if err := w.handle(in, int64(binary.LittleEndian.Uint32(length[:]))); err != nil {
			return err
		}
	}
	return nil
}

// reply reads what the function is answered next.
func (w wired) reply() (uint32, frame.Reply) {
	w.t.Helper()
	if err := w.function.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(w.function, length[:]); err != nil {
		w.t.Fatal(err)
	}
	raw := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := io.ReadFull(w.function, raw); err != nil {
		w.t.Fatal(err)
	}
	header, rest, err := frame.ParseHeader(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	reply, err := frame.ParseReply(rest)
	if err != nil {
		w.t.Fatal(err)
	}
	return header.Stream, reply
}

func sized(f []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(f))), f...)
}

func callFrame(stream, parent uint32, callee string, body int) []byte {
	f := binary.LittleEndian.AppendUint32([]byte{1, byte(frame.KindCall), 0, 0}, stream)
	f = binary.LittleEndian.AppendUint32(f, parent)
	f = binary.LittleEndian.AppendUint64(f, 0)
	f = append(binary.LittleEndian.AppendUint32(f, uint32(len(callee))), callee...)
	return sized(append(binary.LittleEndian.AppendUint32(f, uint32(body)), make([]byte, body)...))
}

func replyFrame(stream uint32, r frame.Reply) []byte { return sized(frame.AppendReply(nil, stream, r)) }

// TestRefusalsWaitForTheReader has a function make calls that are refused and read no answer: the host takes no more
// calls, and keeps nothing for those that it took.
func TestRefusalsWaitForTheReader(t *testing.T) {
	const all = 500
	for name, parent := range map[string]uint32{"no such invocation": 99, "no room": 1} {
		w := wire(t, runtime.Options{Limits: limits.Limits{Memory: limits.PerCall + 200}})
		if _, q := w.invocation(); q.charge == nil {
			t.Fatal("the invocation has no room")
		}
		var frames [][]byte
		for n := range all {
			frames = append(frames, callFrame(uint32(n+1), parent, "other", 1000))
		}
		before := goruntime.NumGoroutine()
		got := make(chan error, 1)
		go func() { got <- w.get(frames...) }()
		select {
		case err := <-got:
			t.Errorf("%s: all calls were taken (%v) although no answer was read", name, err)
		case <-time.After(50 * time.Millisecond):
		}
		if n := goruntime.NumGoroutine() - before; n > 5 {
			t.Errorf("%s: %d goroutines", name, n)
		}
		go w.transmit()
		for n := range all {
			if stream, r := w.reply(); stream != uint32(n+1) || r.Code == "" || r.Message == "" {
				t.Fatalf("%s: call %d is answered %+v on stream %d", name, n+1, r, stream)
			}
		}
		if err := <-got; err != nil || w.instance.held.Used() != limits.PerCall+100 {
			t.Errorf("%s: %v, %d bytes are held", name, err, w.instance.held.Used())
		}
	}
}

// TestCallsAtTheSameTime makes more calls at the same time than there may be, and one of a name that none can have.
func TestCallsAtTheSameTime(t *testing.T) {
	w := wire(t, runtime.Options{Limits: limits.Limits{Memory: 1 << 30}, Caller: stuck})
	stream, _ := w.invocation()
	go w.transmit()
	for n := range limits.Calls {
		if err := w.get(callFrame(uint32(n+1), stream, "other", 10)); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error, 1)
	go func() { errs <- w.get(callFrame(5000, stream, "other", 10)) }()
	if on, r := w.reply(); on != 5000 || r.Code != string(countersign.CodeOverloaded) {
		t.Errorf("one call too many is answered %+v on %d", r, on)
	}
	if err := <-errs; err != nil {
		t.Error(err)
	}
	w.cancel(1)
	if on, r := w.reply(); on != 1 || r.Code != string(countersign.CodeCanceled) {
		t.Errorf("a call that is awaited no more is answered %+v on %d", r, on)
	}
	go func() { errs <- w.get(callFrame(5001, stream, strings.Repeat("x", 1<<20), 10)) }()
	if on, r := w.reply(); on != 5001 || r.Code != string(countersign.CodeUnknownFunction) || len(r.Message) > 100 {
		t.Errorf("a call of a name of a megabyte is answered %+v on %d", r, on)
	}
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if err := w.get(callFrame(2, stream, "other", 10)); !errors.Is(err, errTwice) {
		t.Errorf("two calls on one stream: %v", err)
	}
}

// TestRepliesTooLarge has replies that are larger than the function's limit or the room for them. They are read over.
func TestRepliesTooLarge(t *testing.T) {
	const most = 1 << 20
	for name, tt := range map[string]struct {
		memory int64
		size   int
		code   countersign.Code
	}{
		"over the limit": {64 << 20, 3 * most, countersign.CodeTooLarge},
		"over the room":  {most / 2, most, countersign.CodeOutOfMemory},
	} {
		w := wire(t, runtime.Options{Limits: limits.Limits{Memory: tt.memory, MaxReply: most}})
		stream, q := w.invocation()
		next, q2 := w.invocation()
		if err := w.get(replyFrame(stream, frame.Reply{Body: make([]byte, tt.size)}), replyFrame(next, frame.Reply{Body: []byte("{}")})); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a := <-q.answer; a.failure == nil || a.failure.Code != tt.code {
			t.Errorf("%s: got %v", name, a.failure)
		}
		if a := <-q2.answer; a.failure != nil || string(a.reply.Body) != "{}" {
			t.Errorf("%s: the next is %+v", name, a)
		}
		if peak := w.instance.held.Peak(); peak > 2*limits.PerCall+200 {
			t.Errorf("%s: %d bytes were held", name, peak)
		}
	}
}

func TestFramesThatBreakTheConvention(t *testing.T) {
	header := func(kind byte) []byte { return []byte{1, kind, 0, 0, 1, 0, 0, 0} }
	for name, raw := range map[string][]byte{
		"no header":            sized(header(2)[:7]),
		"empty":                sized(nil),
		"longer than any":      binary.LittleEndian.AppendUint32(nil, limits.Frame+1),
		"another version":      sized([]byte{2, 2, 0, 0, 1, 0, 0, 0}),
		"reserved bytes":       sized([]byte{1, 2, 1, 0, 1, 0, 0, 0}),
		"unknown kind":         sized(header(9)),
		"an invocation":        sized(header(1)),
		"cancel with a body":   sized(append(header(4), 1)),
		"reply nobody wants":   replyFrame(7, frame.Reply{}),
		"reply without end":    sized(append(header(2), 1, 2, 3)),
		"reply that is cut":    replyFrame(1, frame.Reply{Body: make([]byte, 100)})[:50],
		"call without end":     sized(append(header(3), 1, 2, 3)),
		"call that is cut":     callFrame(1, 1, "other", 100)[:50],
		"length that is a lie": append(binary.LittleEndian.AppendUint32(nil, 8<<20), header(3)...),
	} {
		w := wire(t, runtime.Options{Limits: limits.Limits{Memory: 64 << 20}})
		w.invocation()
		if err := w.get(raw); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if used := w.instance.held.Used(); used > limits.PerCall+200 {
			t.Errorf("%s: %d bytes are held", name, used)
		}
	}
}
