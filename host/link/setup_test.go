package link

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const trustDomain = "test.example"

func newAuthority(tb testing.TB) *identitytest.Authority {
	tb.Helper()
	return identitytest.NewAuthority(tb, trustDomain, time.Now())
}

func function(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID(trustDomain, name)
	must(tb, err)
	return id
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// instance is a Caller and a Callee.
type instance struct {
	alloc    string
	self     atomic.Pointer[identity.Identity]
	terms    Terms
	built    map[string][]byte // interfaces by digest
	permit   func(identity.ID) error
	run      func(context.Context, *callsig.Call) (callsig.Return, error)
	runs     atomic.Int64
	compared atomic.Int64
}

func (i *instance) ID() string                     { return i.alloc }
func (i *instance) Identity() *identity.Identity   { return i.self.Load() }
func (i *instance) Terms() Terms                   { return i.terms }
func (i *instance) BuiltWith(digest string) []byte { return i.built[digest] }

// Serves has documents that say "old …" served, and refuses those that say "bad …".
func (i *instance) Serves(document []byte) (string, error) {
	i.compared.Add(1)
	text := string(document)
	switch {
	case strings.HasPrefix(text, "old"):
		return interfaceDigest(text), nil
	case strings.HasPrefix(text, "bad"):
		return interfaceDigest(text), countersign.Errorf(countersign.CodeInterfaceMismatch, "", "it is bad")
	}
	return "", errors.New("no interface")
}

func interfaceDigest(document string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(document)))
}

func (i *instance) Permit(caller identity.ID) error {
	if i.permit == nil {
		return nil
	}
	return i.permit(caller)
}

func (i *instance) Run(ctx context.Context, call *callsig.Call) (callsig.Return, error) {
	i.runs.Add(1)
	if i.run == nil {
		return callsig.Return{Status: 200, Body: append([]byte("re: "), call.Body...)}, nil
	}
	return i.run(ctx, call)
}

// fixture is a host that is called, and its clients.
type fixture struct {
	tb     testing.TB
	ca     *identitytest.Authority
	trust  *identity.Bundle
	server *Server
	addr   string

	mu        sync.Mutex
	instances map[string]*instance // by server name
	refused   []error
	served    []error // what Serve returned
}

// quick is the timing of tests that wait for a dead peer.
var quick = timing{tick: 50 * time.Millisecond, probe: 5, dead: 6, write: time.Second}

func newFixture(tb testing.TB, edit ...func(*ServerConfig)) *fixture {
	tb.Helper()
	f := &fixture{tb: tb, ca: newAuthority(tb), instances: map[string]*instance{}}
	f.trust = f.ca.Bundle
	config := ServerConfig{Trust: func() *identity.Bundle { return f.trust }, Replay: callsig.ResumeReplayCache(0, time.Now(), nil),
		Find: func(allocation, function string) Callee {
			f.mu.Lock()
			defer f.mu.Unlock()
			if i := f.instances[ServerName(allocation, function)]; i != nil {
				return i
			}
			return nil
		},
		Refused: func(_ string, err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.refused = append(f.refused, err)
		}}
	for _, e := range edit {
		e(&config)
	}
	f.server = NewServer(config)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	f.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.serve(ctx, raw) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		cancel()
		wg.Wait()
	})
	return f
}

func (f *fixture) serve(ctx context.Context, raw net.Conn) {
	conn := tls.Server(raw, &tls.Config{GetConfigForClient: f.server.TLSConfig})
	hs, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := conn.HandshakeContext(hs)
	if err != nil {
		raw.Close()
	} else {
		err = f.server.Serve(ctx, conn)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.served = append(f.served, err)
}

var allocations atomic.Int64

// instance makes an instance; it can be called once it is added.
func (f *fixture) instance(name string) *instance {
	i := &instance{alloc: "00000000-0000-0000-0000-" + strconv.FormatInt(100_000_000_000+allocations.Add(1), 10),
		terms: Terms{Timeout: 5 * time.Second, MaxRequest: 1 << 20, MaxResponse: 1 << 20, Release: "0123456789ab", Idempotent: true}}
	i.self.Store(f.ca.Identity(f.tb, function(f.tb, name)))
	return i
}

func (f *fixture) callee(name string) *instance {
	i := f.instance(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instances[ServerName(i.alloc, name)] = i
	return i
}

func (f *fixture) pool(edit ...func(*PoolConfig)) *Pool {
	config := PoolConfig{Trust: func() *identity.Bundle { return f.trust }, LocalAddr: "127.0.0.1"}
	for _, e := range edit {
		e(&config)
	}
	p := NewPool(config)
	f.tb.Cleanup(p.Close)
	return p
}

func (f *fixture) target(to *instance) Target {
	return Target{Address: f.addr, Allocation: to.alloc, Function: to.Identity().ID(), ConnectTimeout: 5 * time.Second}
}

var callIDs atomic.Int64

// callOf makes the function that makes a call.
func callOf(from *instance, to identity.ID, body string) func(Terms) callsig.Call {
	return func(t Terms) callsig.Call {
		return callsig.Call{Caller: from.Identity().ID(), Callee: to, Deadline: time.Now().Add(t.Timeout),
			ID: "call-" + strconv.FormatInt(callIDs.Add(1), 10), Body: []byte(body)}
	}
}

func (f *fixture) call(p *Pool, from, to *instance, body string) (*Answer, error) {
	return p.Call(context.Background(), from, f.target(to), callOf(from, to.Identity().ID(), body))
}

// refusals returns what was reported so far.
func (f *fixture) refusals() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not after 30 s", what)
		}
	}
}

// wantReported waits for the next refusal that is reported, and takes it. It must have a reason.
func (f *fixture) wantReported(want callsig.Reason) error {
	f.tb.Helper()
	eventually(f.tb, "a refusal "+string(want)+" is reported", func() bool { return len(f.refusals()) > 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.refused[0]
	f.refused = f.refused[1:]
	var refused *callsig.Error
	if !errors.As(err, &refused) || refused.Reason != want {
		f.tb.Errorf("%v was reported; want reason %s", err, want)
	}
	return err
}

func wantCode(tb testing.TB, err error, want countersign.Code) {
	tb.Helper()
	var call *countersign.CallError
	var refused *RefusedError
	switch {
	case errors.As(err, &refused) && refused.Code == want:
	case errors.As(err, &call) && call.Code == want:
	default:
		tb.Fatalf("got %v (%T), want code %s", err, err, want)
	}
}

func wantUnreachable(tb testing.TB, err error, sent bool) *UnreachableError {
	tb.Helper()
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Sent != sent {
		tb.Fatalf("got %v (%T), want an *UnreachableError with Sent = %v", err, err, sent)
	}
	return unreachable
}
