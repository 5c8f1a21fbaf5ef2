package wasm

import (
	"errors"
	"net"
	"strings"
	"testing"

	"countersign/host/network"
	"countersign/host/runtime/output"

	"golang.org/x/sys/unix"
)

func openSockets(t *testing.T, bindings ...network.Binding) *sockets {
	t.Helper()
	tags, err := network.Open(bindings, network.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSockets(tags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		tags.Close()
	})
	return s
}

// TestListenersAreBounded has a guest listen over and over again: each listener is a descriptor of the host.
func TestListenersAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := openSockets(t, network.Binding{Tag: "in", Protocol: network.TCP, Listen: true, Addresses: []string{l.Addr().String()}})
	var last int32
	for range maxListeners {
		if last, err = s.listen("in"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.listen("in"); !errors.Is(err, unix.EMFILE) {
		t.Errorf("one more listener: %v", err)
	}
	if err := s.release(last); err != nil {
		t.Error(err)
	}
	if _, err := s.listen("in"); err != nil {
		t.Errorf("the place of one that was closed: %v", err)
	}
}

// TestSettlesBesideAFlood has a server that always has something for what an earlier call left behind.
func TestSettlesBesideAFlood(t *testing.T) {
	s := openSockets(t, tcpTag("db", listen(t, true)))
	conn, err := s.tags.Dial(t.Context(), "db")
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := s.add(&socket{conn: conn}) // it can always be written
	if err != nil {
		t.Fatal(err)
	}
	for round := range maxRounds + 1 {
		p := &poll{sandbox: &sandbox{sockets: s}, out: make([]byte, 2*eventSize), idle: 0,
			subs: []subscription{{kind: kindRead, descriptor: idleDescriptor}, {kind: kindWrite, descriptor: descriptor}}}
		p.run()
		if last := round == maxRounds; s.idle != last || p.events == 0 {
			t.Fatalf("round %d: idle %v, %d events", round, s.idle, p.events)
		}
	}
	if n, err := s.read(idleDescriptor, make([]byte, 1)); n != 1 || err != nil || s.idle || s.rounds != 0 {
		t.Errorf("%d, %v, %+v", n, err, s)
	}
}

// TestFailuresAreNeverSuccess has reasons that the guest has no number for.
func TestFailuresAreNeverSuccess(t *testing.T) {
	for _, err := range []error{&network.Error{Reason: "new"}, &network.Error{Reason: network.Refused}, unix.EXFULL, errors.New("other")} {
		if socketErrno(err) == 0 {
			t.Errorf("%v is success for the guest", err)
		}
	}
}

// TestFailuresAreOneLine has a name, which others choose, forge the log's next line.
func TestFailuresAreOneLine(t *testing.T) {
	var lines []string
	stream := output.New(nil)
	defer stream.Close()
	s := &sandbox{stderr: output.Lines{To: stream, Call: func() string { return "" },
		See: func(line []byte) { lines = append(lines, string(line)) }}}
	s.logFailure(&network.Error{Tag: "db", Reason: network.Unreachable, Err: errors.New("lookup a\npanic: b\r\nc")})
	if len(lines) != 1 || strings.ContainsAny(strings.TrimSuffix(lines[0], "\n"), "\r\n") {
		t.Errorf("%q", lines)
	}
}
