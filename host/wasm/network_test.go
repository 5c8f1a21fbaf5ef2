package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/host/network"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// networkRequest and networkResult are those of the guest "network".
type networkRequest struct {
	Do      string `json:"do"`
	Tag     string `json:"tag,omitempty"`
	Text    string `json:"text,omitempty"`
	N       int    `json:"n,omitempty"`
	Timeout string `json:"timeout,omitempty"`
}

type networkResult struct {
	Text   string `json:"text"`
	N      int    `json:"n"`
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

// peer is a server that sends back what it gets, or, if it is silent, nothing.
type peer struct {
	net.Listener
	silent bool

	mu    sync.Mutex
	conns []net.Conn
}

func listen(tb testing.TB, silent bool) *peer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &peer{Listener: l, silent: silent}
	go p.serve()
	tb.Cleanup(func() {
		l.Close()
		p.hangUp()
	})
	return p
}

func (p *peer) serve() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		if !p.silent {
			go func() { _, _ = io.Copy(c, c) }()
		}
	}
}

// accepted is how many connections there were.
func (p *peer) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// hangUp ends all connections.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// networkGuest runs the guest "network" with tags.
type networkGuest struct {
	testing.TB
	instance *Instance
	tags     *network.Tags
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func runNetwork(tb testing.TB, concurrency int, bindings ...network.Binding) *networkGuest {
	tb.Helper()
	tags, err := network.Open(bindings, network.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(tags.Close) // after the instance
	g := &networkGuest{TB: tb, tags: tags, log: &lockedBuffer{}}
	g.instance = loadGuest(tb, "network", Options{Options: runtime.Options{Stderr: g.log, Network: tags,
		Limits: limits.Limits{Memory: 512 << 20, Concurrency: concurrency}}})
	return g
}

func (g *networkGuest) invoke(ctx context.Context, r networkRequest) (networkResult, error) {
	g.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		g.Fatal(err)
	}
	answer, err := g.instance.Invoke(ctx, invocation(string(body)))
	if err != nil {
		return networkResult{}, err
	}
	return decode[networkResult](g, answer), nil
}

func (g *networkGuest) do(r networkRequest) networkResult {
	g.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := g.invoke(ctx, r)
	if err != nil {
		g.Fatalf("%s: %v\n%s", r.Do, err, g.log)
	}
	return result
}

// must does what has to work.
func (g *networkGuest) must(r networkRequest) networkResult {
	g.Helper()
	result := g.do(r)
	if result.Error != "" {
		g.Fatalf("%s: %s\n%s", r.Do, result.Error, g.log)
	}
	return result
}

// usage is that of the only tag, or the first.
func (g *networkGuest) usage() network.Usage { return g.tags.Usage()[0] }

func tcpTag(name string, p net.Listener) network.Binding {
	return network.Binding{Tag: name, Protocol: network.TCP, Addresses: []string{p.Addr().String()}}
}

func TestNetworkIsOrdinary(t *testing.T) {
	p := listen(t, false)
	g := runNetwork(t, 1, tcpTag("db", p))
	if r := g.must(networkRequest{Do: "echo", Tag: "db", Text: "hello"}); r.Text != "hello" {
		t.Errorf("it echoes %q", r.Text)
	}
	if r := g.must(networkRequest{Do: "echo", Tag: "db", Text: strings.Repeat("long ", 1<<15)}); r.N != 5<<15 {
		t.Errorf("it echoes %d bytes", r.N)
	}
	if r := g.must(networkRequest{Do: "addresses", Tag: "db"}); r.Text != "db db" {
		t.Errorf("the function learns the addresses %q", r.Text)
	}
	g.must(networkRequest{Do: "closed", Tag: "db"})
	if u := g.usage(); u.Open != 0 || u.Dialed != 4 || u.Failed != 0 || u.In != 5+5<<15 || u.Out != u.In {
		t.Errorf("%+v", u)
	}
}

// TestNetworkDatagrams sends and gets them as wholes.
func TestNetworkDatagrams(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sizes := make(chan int, 100)
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			sizes <- n
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	g := runNetwork(t, 1, network.Binding{Tag: "dns", Protocol: network.UDP, Addresses: []string{c.LocalAddr().String()}})
	for _, size := range []int{1, 1000, 60_000} {
		if r := g.must(networkRequest{Do: "echo", Tag: "dns", Text: strings.Repeat("x", size)}); r.N != size || <-sizes != size {
			t.Errorf("%d bytes: %+.100v", size, r)
		}
	}
	if r := g.do(networkRequest{Do: "echo", Tag: "dns", Text: strings.Repeat("x", 70_000)}); r.Error == "" {
		t.Errorf("a datagram that is too long: %+.100v", r)
	}
	if r := g.do(networkRequest{Do: "datagram-vectors", Tag: "dns", Text: "hello world"}); r.Text != "hello world" || <-sizes != 11 {
		t.Errorf("a datagram of several buffers: %+v", r)
	}
}

// TestNetworkDoesNotBlockTheGuest has many goroutines of a guest wait for a server while another goes on.
func TestNetworkDoesNotBlockTheGuest(t *testing.T) {
	g := runNetwork(t, 1, tcpTag("db", listen(t, false)))
	if r := g.must(networkRequest{Do: "parallel", Tag: "db", N: 40}); r.N == 0 {
		t.Error("nothing else ran while it waited")
	}
}

// TestNetworkDeadlines has a peer that never answers.
func TestNetworkDeadlines(t *testing.T) {
	p := listen(t, true)
	g := runNetwork(t, 1, tcpTag("silent", p))
	if r := g.do(networkRequest{Do: "read", Tag: "silent", Timeout: "50ms"}); !strings.Contains(r.Error, "i/o timeout") {
		t.Errorf("the guest's own deadline: %+v", r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := g.invoke(ctx, networkRequest{Do: "read", Tag: "silent"})
	wantCode(t, err, countersign.CodeDeadline)
	if u := g.usage(); u.Open != 0 {
		t.Errorf("a stopped sandbox leaves connections: %+v", u)
	}
	canceled, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	before := p.accepted()
	go func() {
		_, err := g.invoke(canceled, networkRequest{Do: "read", Tag: "silent"})
		ended <- err
	}()
	for p.accepted() == before {
		time.Sleep(time.Millisecond)
	}
	stop()
	wantCode(t, <-ended, countersign.CodeCanceled)
}

// TestNetworkWaitsWithoutThreads has many calls wait at once: a host has 10,000 threads at most, and functions have more
// calls than that.
func TestNetworkWaitsWithoutThreads(t *testing.T) {
	const calls = 32
	p := listen(t, true)
	g := runNetwork(t, calls, tcpTag("silent", p))
	threads := func() int {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, calls)
	for range calls {
		go func() {
			_, err := g.invoke(ctx, networkRequest{Do: "read", Tag: "silent"})
			ended <- err
		}()
	}
	for p.accepted() < calls {
		time.Sleep(time.Millisecond)
	}
	before := threads()
	cancel()
	for range calls {
		wantCode(t, <-ended, countersign.CodeCanceled)
	}
	if u := g.usage(); u.Open != 0 {
		t.Errorf("%+v", u)
	}
	if before > calls {
		t.Errorf("%d threads while %d calls wait", before, calls)
	}
}

// TestNetworkConnectionsAreKept has a connection used by several calls, and its end noticed before the next.
func TestNetworkConnectionsAreKept(t *testing.T) {
	p := listen(t, false)
	g := runNetwork(t, 1, tcpTag("db", p))
	g.must(networkRequest{Do: "keep", Tag: "db"})
	for range 3 {
		if r := g.must(networkRequest{Do: "echo-kept", Text: "again"}); r.Text != "again" {
			t.Errorf("%+v", r)
		}
	}
	if p.accepted() != 1 {
		t.Errorf("%d connections", p.accepted())
	}
	g.must(networkRequest{Do: "watch-kept"})
	if r := g.must(networkRequest{Do: "is-gone"}); r.Text != "false" {
		t.Errorf("it ended too early: %+v", r)
	}
	p.hangUp()
	for end := time.Now().Add(time.Minute); g.must(networkRequest{Do: "is-gone"}).Text != "true"; {
		if time.Now().After(end) {
			t.Fatal("a goroutine that was left behind does not see the end of its connection")
		}
	}
	if n := g.instance.pool.count(); n != 1 {
		t.Errorf("%d sandboxes", n)
	}
}

// TestNetworkLimits has functions that want more than a tag has.
func TestNetworkLimits(t *testing.T) {
	p := listen(t, false)
	few, short, slow := tcpTag("few", p), tcpTag("short", p), tcpTag("slow", p)
	few.Connections, short.Bytes, slow.Rate = 3, 1<<16, 20_000
	g := runNetwork(t, 1, few, short, slow)
	if r := g.do(networkRequest{Do: "keep", Tag: "few", N: 10}); r.N != 3 || r.Reason != string(network.Limited) {
		t.Errorf("connections: %+v", r)
	}
	g.must(networkRequest{Do: "drop"})
	if r := g.do(networkRequest{Do: "flood", Tag: "short", N: 1 << 20}); r.N > 1<<16 || r.Reason != string(network.Limited) {
		t.Errorf("bytes: %+v", r)
	}
	began := time.Now()
	g.must(networkRequest{Do: "echo", Tag: "slow", Text: strings.Repeat("x", 10_000)})
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("20,000 bytes at 20,000 a second took %v", took)
	}
	cpu := g.instance.Usage().CPU
	if cpu > 10*time.Second {
		t.Errorf("it waited with %v of CPU", cpu)
	}
	if r := g.do(networkRequest{Do: "keep", Tag: "few", N: 3}); r.N != 3 || r.Error != "" {
		t.Errorf("connections are not given back: %+v", r)
	}
}

// TestNetworkReachesNothingElse has functions that want what no tag of theirs is bound to.
func TestNetworkReachesNothingElse(t *testing.T) {
	p, other := listen(t, false), listen(t, false)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	g := runNetwork(t, 1, tcpTag("db", p), tcpTag("dead", dead), network.Binding{Tag: "unbound", Protocol: network.TCP})
	for tag, reason := range map[string]network.Reason{"": network.Undeclared, "other": network.Undeclared,
		"127.0.0.1:22": network.Undeclared, "dead": network.Refused, "unbound": network.Unbound} {
		if r := g.do(networkRequest{Do: "echo", Tag: tag, Text: "x"}); r.Reason != string(reason) {
			t.Errorf("tag %q: %+v", tag, r)
		}
	}
	if log := g.log.String(); !strings.Contains(log, `network tag "dead": refused: dial tcp`) {
		t.Errorf("the log does not say why: %s", log)
	}
	for _, address := range []string{"tcp " + other.Addr().String(), "tcp " + p.Addr().String(), "tcp 169.254.169.254:80",
		"udp 127.0.0.53:53", "unix /run/docker.sock", "unix @abstract", "tcp localhost:8200", "lookup example.org", "listen 127.0.0.1:0"} {
		if r := g.do(networkRequest{Do: "elsewhere", Text: address}); r.Error == "" {
			t.Errorf("%s: it got %+v", address, r)
		}
	}
	if other.accepted() != 0 || p.accepted() != 0 {
		t.Errorf("%d and %d connections", other.accepted(), p.accepted())
	}
}

// TestNetworkDescriptors has a guest guess descriptors, and use lists of buffers and subscriptions that can't be.
func TestNetworkDescriptors(t *testing.T) {
	p := listen(t, false)
	g := runNetwork(t, 2, tcpTag("db", p))
	// Another sandbox has connections, while this one guesses.
	hold, release := context.WithCancel(context.Background())
	defer release()
	silent := make(chan error, 1)
	go func() {
		_, err := g.invoke(hold, networkRequest{Do: "read", Tag: "db"})
		silent <- err
	}()
	for p.accepted() == 0 {
		time.Sleep(time.Millisecond)
	}
	if r := g.must(networkRequest{Do: "guess", Tag: "db"}); r.N != 0 {
		t.Errorf("it found %d", r.N)
	}
	for _, n := range []int{0, maxSubscriptions + 1, 1_000_000} {
		if r := g.do(networkRequest{Do: "poll", N: n}); r.Error != "Invalid argument" {
			t.Errorf("%d subscriptions: %+v", n, r)
		}
	}
	if r := g.must(networkRequest{Do: "poll", N: maxSubscriptions}); r.N == 0 {
		t.Errorf("%+v", r)
	}
	if r := g.must(networkRequest{Do: "renumber"}); r.N != 0 {
		t.Errorf("it made %d descriptors from others", r.N)
	}
	release()
	wantCode(t, <-silent, countersign.CodeCanceled)
	if r := g.do(networkRequest{Do: "keep", Tag: "db", N: 100}); r.N != network.DefaultConnections || r.Reason != string(network.Limited) {
		t.Errorf("%+v", r)
	}
}

// TestNetworkEndsWithTheFunction closes a function that waits for a connection.
func TestNetworkEndsWithTheFunction(t *testing.T) {
	p := listen(t, true)
	g := runNetwork(t, 1, tcpTag("silent", p))
	ended := make(chan error, 1)
	go func() {
		_, err := g.invoke(context.Background(), networkRequest{Do: "read", Tag: "silent"})
		ended <- err
	}()
	for p.accepted() == 0 {
		time.Sleep(time.Millisecond)
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.instance.Close(now); err != nil {
		t.Error(err)
	}
	wantCode(t, <-ended, countersign.CodeUnavailable)
	if u := g.usage(); u.Open != 0 {
		t.Errorf("%+v", u)
	}
}

// TestNetworkListens has a function accept connections while its call runs.
func TestNetworkListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	g := runNetwork(t, 2, network.Binding{Tag: "in", Protocol: network.TCP, Listen: true, Addresses: []string{address}},
		tcpTag("out", listen(t, false)))
	for _, tag := range []string{"out", "other"} {
		if r := g.do(networkRequest{Do: "listen", Tag: tag, N: 1}); r.Reason != string(network.Undeclared) {
			t.Errorf("%s: %+v", tag, r)
		}
	}
	if r := g.do(networkRequest{Do: "echo", Tag: "in", Text: "x"}); r.Reason != string(network.Undeclared) {
		t.Errorf("a tag that listens is dialed: %+v", r)
	}
	answered := make(chan networkResult, 1)
	go func() { answered <- g.do(networkRequest{Do: "listen", Tag: "in", N: 3}) }()
	for range 3 {
		var c net.Conn
		for c == nil {
			if c, err = net.Dial("tcp", address); err != nil {
				time.Sleep(time.Millisecond)
			}
		}
		b := make([]byte, 5)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
	}
	if r := <-answered; r.N != 3 || r.Text != "in" || r.Error != "" {
		t.Errorf("%+v", r)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("after the call something listens still")
	}
	if r := g.do(networkRequest{Do: "listen", Tag: "in", Timeout: "50ms"}); !strings.Contains(r.Error, "i/o timeout") {
		t.Errorf("a deadline for Accept: %+v", r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err = g.invoke(ctx, networkRequest{Do: "listen", Tag: "in", N: 1})
	wantCode(t, err, countersign.CodeDeadline)
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("after a call that was stopped something listens still")
	}
}

// TestNoNetworkWithoutTags has a function without tags dial.
func TestNoNetworkWithoutTags(t *testing.T) {
	i := loadGuest(t, "network", Options{Options: runtime.Options{Limits: limits.Limits{Memory: 64 << 20}}})
	body, err := invoke(i, time.Minute, `{"do":"echo","tag":"db","text":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	if r := decode[networkResult](t, body); r.Reason != string(network.Undeclared) {
		t.Errorf("%+v", r)
	}
}

func BenchmarkNetworkRoundTrip(b *testing.B) {
	p := listen(b, false)
	b.Run("tag", func(b *testing.B) {
		g := runNetwork(b, 1, tcpTag("db", p))
		b.ResetTimer()
		g.must(networkRequest{Do: "rounds", Tag: "db", N: b.N})
	})
	b.Run("direct", func(b *testing.B) {
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		x := []byte("x")
		b.ResetTimer()
		for range b.N {
			if _, err := c.Write(x); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, x); err != nil {
				b.Fatal(err)
			}
		}
	})
}
