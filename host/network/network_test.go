package network

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo is a server that sends back what it gets, until the test ends.
func echo(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// echoDatagrams does the same for UDP.
func echoDatagrams(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr().String()
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func open(t *testing.T, lookup Lookup, bindings ...Binding) *Tags {
	t.Helper()
	tags, err := Open(bindings, Options{Lookup: lookup, Unix: []string{os.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tags.Close)
	return tags
}

func dial(t *testing.T, tags *Tags, tag string) *Conn {
	t.Helper()
	c, err := tags.Dial(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read waits for bytes, at most 30 seconds.
func read(c *Conn, p []byte) (int, error) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		n, err := c.Read(p)
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(end) {
			return n, err
		}
	}
}

func mustEcho(t *testing.T, c *Conn) {
	t.Helper()
	if n, err := c.Write([]byte("hello")); n != 5 || err != nil {
		t.Fatalf("writing: %d, %v", n, err)
	}
	b := make([]byte, 16)
	if n, err := read(c, b); err != nil || string(b[:n]) != "hello" {
		t.Fatalf("reading: %q, %v", b[:n], err)
	}
}

func wantReason(t *testing.T, err error, tag string, want Reason) {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != want || failure.Tag != tag || !strings.Contains(err.Error(), tag) {
		t.Errorf("got %v, want tag %q and reason %q", err, tag, want)
	}
}

func TestDial(t *testing.T) {
	server, path := echo(t, "tcp", "127.0.0.1:0"), filepath.Join(t.TempDir(), "s")
	echo(t, "unix", path)
	lookup := func(_ context.Context, service string) ([]string, error) { return []string{server}, nil }
	tags := open(t, lookup,
		Binding{Tag: "address", Protocol: TCP, Addresses: []string{server}},
		Binding{Tag: "second", Protocol: TCP, Addresses: []string{nobody(t), server}},
		Binding{Tag: "service", Protocol: TCP, Service: "db"},
		Binding{Tag: "unix", Protocol: TCP, Unix: path},
		Binding{Tag: "datagrams", Protocol: UDP, Addresses: []string{echoDatagrams(t)}})
	for _, u := range tags.Usage() {
		t.Run(u.Tag, func(t *testing.T) {
			c := dial(t, tags, u.Tag)
			mustEcho(t, c)
			if flags, err := unix.FcntlInt(uintptr(c.Descriptor()), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
				t.Errorf("the descriptor blocks: %x, %v", flags, err)
			}
			if c.Close(); c.Descriptor() != -1 {
				t.Error("it has a descriptor after it was closed")
			}
			c.Close()
			if _, err := c.Write([]byte("late")); !errors.Is(err, unix.EBADF) {
				t.Errorf("a write after the end: %v", err)
			}
		})
	}
	for _, u := range tags.Usage() {
		if u.Open != 0 || u.Dialed != 1 || u.Failed != 0 || u.In != 5 || u.Out != 5 {
			t.Errorf("%+v", u)
		}
	}
}

func TestDialFails(t *testing.T) {
	lookup := func(_ context.Context, service string) ([]string, error) {
		switch service {
		case "away":
			return nil, errors.New("no answer")
		case "rebound":
			return []string{"169.254.169.254:80"}, nil
		}
		return nil, nil
	}
	real, link := filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "s")
	echo(t, "unix", real)
	if err := errors.Join(os.Symlink(real, link), os.Symlink(filepath.Dir(real), filepath.Join(filepath.Dir(link), "dir"))); err != nil {
		t.Fatal(err)
	}
	tags := open(t, lookup,
		Binding{Tag: "refused", Protocol: TCP, Addresses: []string{nobody(t)}},
		Binding{Tag: "unbound", Protocol: TCP},
		Binding{Tag: "empty", Protocol: TCP, Service: "empty"},
		Binding{Tag: "away", Protocol: TCP, Service: "away"},
		Binding{Tag: "nosocket", Protocol: TCP, Unix: filepath.Join(t.TempDir(), "none")},
		Binding{Tag: "link", Protocol: TCP, Unix: link},
		Binding{Tag: "linked", Protocol: TCP, Unix: filepath.Join(filepath.Dir(link), "dir", "s")},
		Binding{Tag: "metadata", Protocol: TCP, Addresses: []string{"169.254.169.254:80", "[::ffff:169.254.169.254]:80"}},
		Binding{Tag: "metadata6", Protocol: TCP, Addresses: []string{"[fd00:ec2::254]:80", "[fe80::1%lo]:80", "0.0.0.0:80"}},
		Binding{Tag: "rebound", Protocol: UDP, Service: "rebound"})
	for tag, want := range map[string]Reason{"refused": Refused, "unbound": Unbound, "empty": Unreachable, "away": Unreachable,
		"nosocket": Unreachable, "link": Unreachable, "linked": Unreachable, "metadata": Unreachable, "metadata6": Unreachable,
		"rebound": Unreachable, "other": Undeclared, "127.0.0.1:22": Undeclared, "": Undeclared} {
		_, err := tags.Dial(t.Context(), tag)
		wantReason(t, err, tag, want)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tags.Dial(canceled, "refused")
	wantReason(t, err, "refused", Canceled)
	for _, u := range tags.Usage() {
		if u.Open != 0 || u.Dialed != 0 {
			t.Errorf("%+v", u)
		}
	}
}

// TestDialEndsInTime has a look-up that never answers.
func TestDialEndsInTime(t *testing.T) {
	asked := make(chan struct{}, 2)
	silent := func(ctx context.Context, _ string) ([]string, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	tags := open(t, silent, Binding{Tag: "db", Protocol: TCP, Service: "db"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := tags.Dial(ctx, "db")
	wantReason(t, err, "db", TimedOut)
	<-asked
	ended := make(chan error, 1)
	go func() {
		_, err := tags.Dial(context.Background(), "db")
		ended <- err
	}()
	<-asked
	tags.Close() // the end of the allocation ends it
	wantReason(t, <-ended, "db", Canceled)
}

func TestLimits(t *testing.T) {
	server := []string{echo(t, "tcp", "127.0.0.1:0")}
	tags := open(t, nil,
		Binding{Tag: "few", Protocol: TCP, Addresses: server, Limits: Limits{Connections: 2}},
		Binding{Tag: "short", Protocol: TCP, Addresses: server, Limits: Limits{Bytes: 12}},
		Binding{Tag: "slow", Protocol: TCP, Addresses: server, Limits: Limits{Rate: 1}})
	first, _ := dial(t, tags, "few"), dial(t, tags, "few")
	_, err := tags.Dial(t.Context(), "few")
	wantReason(t, err, "few", Limited)
	first.Close()
	dial(t, tags, "few")

	short := dial(t, tags, "short")
	mustEcho(t, short)
	if n, err := short.Write([]byte("hello")); n != 2 || err != nil {
		t.Errorf("wrote %d bytes, %v; two were left", n, err)
	}
	_, err = short.Write([]byte("more"))
	wantReason(t, err, "short", Limited)

	slow := dial(t, tags, "slow")
	if n, err := slow.Write(make([]byte, 2*minBurst)); n != minBurst || err != nil {
		t.Errorf("wrote %d bytes at once, %v", n, err)
	}
	if _, err := slow.Write([]byte("x")); !errors.Is(err, unix.EAGAIN) || slow.Wait() <= 0 {
		t.Errorf("beyond the rate: %v, wait %v", err, slow.Wait())
	}
}

func TestClose(t *testing.T) {
	tags := open(t, nil, Binding{Tag: "db", Protocol: TCP, Addresses: []string{echo(t, "tcp", "127.0.0.1:0")}})
	c := dial(t, tags, "db")
	tags.Close()
	if c.Descriptor() != -1 || tags.Usage()[0].Open != 0 {
		t.Errorf("a connection outlives the allocation: %+v", tags.Usage())
	}
	_, err := tags.Dial(t.Context(), "db")
	wantReason(t, err, "db", Canceled)
}

func TestOpenRefuses(t *testing.T) {
	for what, b := range map[string]Binding{
		"unknown protocol":        {Protocol: "icmp"},
		"more than one":           {Protocol: TCP, Service: "db", Unix: "/s"},
		"not to a Unix socket":    {Protocol: UDP, Unix: "/s"},
		"not an absolute path":    {Protocol: TCP, Unix: "@abstract"},
		"missing port":            {Protocol: TCP, Addresses: []string{"localhost"}},
		"negative":                {Protocol: TCP, Service: "db", Limits: Limits{Rate: -1}},
		"for TCP":                 {Protocol: UDP, Listen: true, Addresses: []string{"127.0.0.1:1"}},
		"one address":             {Protocol: TCP, Listen: true, Addresses: []string{"127.0.0.1:1", "127.0.0.1:2"}},
		"it listens":              {Protocol: TCP, Listen: true, Service: "db"},
		`"db": unknown protocol `: {},
	} {
		b.Tag = "db"
		if _, err := Open([]Binding{b}, Options{}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, path := range []string{"/run/postgresql/s", "/run/other/../postgresql/s", "/run/other", "/run/otherwise/s"} {
		for _, allow := range [][]string{nil, {"/run/other/deeper"}, {"/run/postgresql/deeper", "/run/other/s"}} {
			if _, err := Open([]Binding{{Tag: "db", Protocol: TCP, Unix: path}}, Options{Unix: allow}); err == nil ||
				!strings.Contains(err.Error(), "network.allow_unix") {
				t.Errorf("%s, which is not in one of %q: %v", path, allow, err)
			}
		}
	}
	for _, path := range []string{"/run/postgresql/s", "/run/other/../postgresql/s", "/run/otherwise/s"} {
		if _, err := Open([]Binding{{Tag: "db", Protocol: TCP, Unix: path}}, Options{Unix: []string{"/run/other"}}); err == nil {
			t.Errorf("%s is not below /run/other", path)
		}
	}
	if _, err := Open([]Binding{{Tag: "db", Protocol: TCP}, {Tag: "db", Protocol: TCP}}, Options{}); err == nil {
		t.Error("a tag may be there twice")
	}
}

func TestListen(t *testing.T) {
	address := nobody(t)
	tags := open(t, nil,
		Binding{Tag: "in", Protocol: TCP, Listen: true, Addresses: []string{address}, Limits: Limits{Connections: 1}},
		Binding{Tag: "taken", Protocol: TCP, Listen: true, Addresses: []string{echo(t, "tcp", "127.0.0.1:0")}},
		Binding{Tag: "out", Protocol: TCP, Addresses: []string{address}})
	for tag, want := range map[string]Reason{"out": Undeclared, "other": Undeclared, "taken": Unreachable} {
		_, err := tags.Listen(tag)
		wantReason(t, err, tag, want)
	}
	_, err := tags.Dial(t.Context(), "in")
	wantReason(t, err, "in", Undeclared)
	_, err = tags.Dial(t.Context(), "out")
	wantReason(t, err, "out", Refused)

	first, err := tags.Listen("in")
	if err != nil {
		t.Fatal(err)
	}
	second, err := tags.Listen("in") // another sandbox
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Accept(); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("nothing waits: %v", err)
	}
	first.Close()
	first.Close()
	if _, err := first.Accept(); !errors.Is(err, unix.EBADF) || first.Descriptor() != -1 {
		t.Errorf("after the end: %v", err)
	}
	client := dial(t, tags, "out")
	accepted := accept(t, second)
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	if n, err := read(accepted, b); err != nil || string(b[:n]) != "hello" {
		t.Errorf("%q, %v", b[:n], err)
	}
	over := dial(t, tags, "out")
	for end := time.Now().Add(30 * time.Second); tags.Usage()[0].Refused == 0; time.Sleep(time.Millisecond) {
		if _, err := second.Accept(); !errors.Is(err, unix.EAGAIN) || time.Now().After(end) {
			t.Fatalf("more connections than the tag may have: %v", err)
		}
	}
	if n, err := read(over, b); n != 0 {
		t.Errorf("it gets %d bytes, %v", n, err)
	}
	second.Close()
	_, err = tags.Dial(t.Context(), "out")
	wantReason(t, err, "out", Refused)
	tags.Close()
	_, err = tags.Listen("in")
	wantReason(t, err, "in", Canceled)
	if u := tags.Usage()[0]; u.Tag != "in" || u.Open != 0 || u.Dialed != 1 || u.In != 5 {
		t.Errorf("%+v", u)
	}
}

func accept(t *testing.T, l *Listener) *Conn {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := l.Accept()
		if err == nil {
			return c
		}
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
