package link

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// The defaults of a pool, unless its config says otherwise.
const (
	idleTimeout    = 5 * time.Minute
	connectTimeout = 2 * time.Second
)

// PoolConfig is what a Pool works with.
type PoolConfig struct {
	Trust     func() *identity.Bundle // current; nil while there is none
	LocalAddr string                  // IP address that connections come from; "": the system chooses
	// IdleTimeout is how long a connection stays open without calls; 0: 5 minutes.
	IdleTimeout time.Duration
	// Handshake is told the result of each attempt to connect: "ok", "refused" (a certificate, by either end) or
	// "unreachable". It may be nil.
	Handshake func(result string)
	Log       *slog.Logger     // nil: silent
	Now       func() time.Time // nil: time.Now

	Streams     int // most calls under way on a connection; 0: 1024
	Connections int // most connections; 0: 8192
	Batch       int // most calls that one signature covers; 0: callsig.MaxBatch

	timing timing
}

// Pool is the calling end of the connections from the instances of this host. It is safe for concurrent use.
type Pool struct {
	config PoolConfig

	mu     sync.Mutex
	links  map[ends]*entry
	closed bool
}

// ends are the allocations that a connection joins.
type ends struct{ caller, callee string }

// entry is a connection, or the attempt to make one.
type entry struct {
	ready chan struct{} // closed when link or err is set
	link  *link
	err   error
}

// Answer is a verified return and what it belongs to.
type Answer struct {
	Call   *callsig.SignedCall
	Return *callsig.SignedReturn
	Terms  Terms
}

// NewPool returns a pool without connections.
func NewPool(config PoolConfig) *Pool {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Handshake == nil {
		config.Handshake = func(string) {}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.IdleTimeout == 0 {
		config.IdleTimeout = idleTimeout
	}
	if config.Streams == 0 {
		config.Streams = maxStreams
	}
	if config.Connections == 0 {
		config.Connections = maxConnections
	}
	if config.timing == (timing{}) {
		config.timing = defaultTiming
	}
	return &Pool{config: config, links: map[ends]*entry{}}
}

// Call makes a call: it opens the connection or reuses it, lets build make the call from the callee's terms, signs,
// sends, waits until the call's deadline, and verifies. The body that build returns must not change any more, even
// after Call has returned.
//
// Errors are *UnreachableError, *RefusedError (nothing was executed), *callsig.Error (a return that does not verify, of
// which nothing is handed out) and *countersign.CallError (deadline, cancellation, a request that is too large).
func (p *Pool) Call(ctx context.Context, from Caller, to Target, build func(Terms) callsig.Call) (*Answer, error) {
	unreachable := func(terms Terms, sent bool, err error) error {
		return &UnreachableError{Target: to, Sent: sent, Idempotent: terms.Idempotent, Err: err}
	}
	for again := false; ; again = true {
		l, reused, err := p.link(ctx, from, to)
		if err != nil {
			if ended := contextError(ctx, to); ended != nil {
				return nil, ended
			}
			return nil, unreachable(Terms{}, false, err)
		}
		answer, err := l.call(ctx, build(l.terms))
		var lost *lostError
		switch {
		case !errors.As(err, &lost):
			return answer, err
		case lost.sent || again || !reused || lost.draining:
			return nil, unreachable(l.terms, lost.sent, lost.err)
		}
		p.discard(l) // it had died before anything of the call was sent
	}
}

// contextError is the error of a call whose context is done, or nil.
func contextError(ctx context.Context, to Target) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return countersign.Errorf(countersign.CodeDeadline, to.Function.Name(), "no return before the deadline: %w", err)
	}
	return countersign.Errorf(countersign.CodeCanceled, to.Function.Name(), "the caller gave up: %w", err)
}

var errPoolClosed = errors.New("the pool is closed")

// link returns the connection between two instances, and whether it was there before.
func (p *Pool) link(ctx context.Context, from Caller, to Target) (*link, bool, error) {
	key := ends{from.ID(), to.Allocation}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, errPoolClosed
	}
	e, reused := p.links[key]
	if !reused {
		if err := p.room(); err != nil {
			p.mu.Unlock()
			return nil, false, err
		}
		e = &entry{ready: make(chan struct{})}
		p.links[key] = e
		go p.connect(key, e, from, to)
	}
	p.mu.Unlock()
	select {
	case <-e.ready:
		return e.link, reused, e.err
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// room makes room for one more connection: it closes the one that has not been used for longest.
func (p *Pool) room() error {
	if len(p.links) < p.config.Connections {
		return nil
	}
	var oldest *link
	for _, e := range p.links {
		if l := e.link; l != nil && !l.busy() && (oldest == nil || l.used.Load() < oldest.used.Load()) {
			oldest = l
		}
	}
	if oldest == nil {
		return errors.New("all connections that this host may have are in use")
	}
	delete(p.links, oldest.ends)
	oldest.retire()
	return nil
}

// connect makes a connection and serves its calling end until it ends.
func (p *Pool) connect(key ends, e *entry, from Caller, to Target) {
	l, err := p.dial(from, to)
	p.mu.Lock()
	if err == nil && (p.closed || p.links[key] != e) {
		l.fail(errPoolClosed)
		err = errPoolClosed
	}
	if err != nil {
		e.err = err
		p.forget(key, e)
	} else {
		e.link = l
	}
	close(e.ready)
	p.mu.Unlock()
	if err != nil {
		return
	}
	go l.write()
	go l.watch(l.busy, l.idle)
	l.fail(l.read())
	p.mu.Lock()
	p.forget(key, e)
	p.mu.Unlock()
	l.lose()
}

// discard forgets a connection that takes no calls any more.
func (p *Pool) discard(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.links[l.ends]; e != nil && e.link == l {
		delete(p.links, l.ends)
	}
}

func (p *Pool) forget(key ends, e *entry) {
	if p.links[key] == e {
		delete(p.links, key)
	}
}

// Forget closes the connections of a local allocation that ended.
func (p *Pool) Forget(allocation string) {
	p.close(func(key ends) bool { return key.caller == allocation })
}

// Close closes every connection. Calls that wait are lost.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.close(func(ends) bool { return true })
}

func (p *Pool) close(which func(ends) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, e := range p.links {
		if which(key) {
			delete(p.links, key)
			if e.link != nil {
				e.link.fail(errPoolClosed)
			}
		}
	}
}

// Open returns how many connections there are, those that are being made included.
func (p *Pool) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}
