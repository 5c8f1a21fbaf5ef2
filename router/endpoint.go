package router

import (
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is an instance of a function on another host. The exported fields never change.
type Endpoint struct {
	Allocation string
	Function   string
	Release    string
	Node       string
	Address    string // host:port
	Interface  string // sha256:<hex> of what it looks like to callers, as Consul has it; "" if that is not known

	state *state
}

// Outlier says when an endpoint that fails is ejected: no calls go to it for a while.
type Outlier struct {
	// Failures is how many calls in a row must fail. A call that the endpoint answers, with an error of the function
	// too, ends the row. The default is 5.
	Failures int

	// Base is how long the first ejection lasts. The second in a row lasts twice as long, the third three times, and so
	// on. The default is 5 s.
	Base time.Duration

	// Max is the longest ejection, and how long an endpoint must stay clear of one for the next to be a first again.
	// The default is 60 s.
	Max time.Duration

	// MaxShare is the greatest share of a function's endpoints that failed calls may eject, in [0, 1], but one may
	// always be: when more fail, the cause is probably not theirs. Endpoints to which no connection can be made do not
	// count: they are ejected in any case. The default is 0.5.
	MaxShare float64
}

// DefaultOutlier holds the defaults of Outlier.
var DefaultOutlier = Outlier{Failures: 5, Base: 5 * time.Second, Max: 60 * time.Second, MaxShare: 0.5}

func (o Outlier) withDefaults() Outlier {
	if o.Failures <= 0 {
		o.Failures = DefaultOutlier.Failures
	}
	if o.Base <= 0 {
		o.Base = DefaultOutlier.Base
	}
	if o.Max <= 0 {
		o.Max = DefaultOutlier.Max
	}
	if o.MaxShare <= 0 {
		o.MaxShare = DefaultOutlier.MaxShare
	}
	return o
}

// state is what is remembered of an endpoint. It outlives tables.
type state struct {
	pool     *pool
	function string
	inFlight atomic.Int64
	failures atomic.Int32 // in a row
	until    atomic.Int64 // end of the ejection, on the pool's clock; 0 if it was never ejected

	mu    sync.Mutex // of what follows
	times int        // ejections in a row
}

// Begin counts a call to the endpoint as in flight. It must be followed by exactly one of End, EndUnreachable and
// EndUnknown.
func (e *Endpoint) Begin() { e.state.inFlight.Add(1) }

// InFlight is the number of calls from this host that are in flight to the endpoint.
func (e *Endpoint) InFlight() int { return int(e.state.inFlight.Load()) }

// End ends a call. It failed if the endpoint gave no verified answer in time; an answer that says that the function
// failed is not a failure of the endpoint.
func (e *Endpoint) End(failed bool) {
	s := e.state
	s.inFlight.Add(-1)
	if !failed {
		if s.failures.Load() != 0 {
			s.failures.Store(0)
		}
		return
	}
	if int(s.failures.Add(1)) >= s.pool.outlier.Failures {
		s.eject(false)
	}
}

// EndUnreachable ends a call for which no connection to the endpoint could be made, or on whose connection the endpoint
// went silent. It ejects the endpoint at once.
func (e *Endpoint) EndUnreachable() {
	e.state.inFlight.Add(-1)
	e.state.eject(true)
}

// EndUnknown ends a call that tells nothing about the endpoint, such as one that its caller gave up.
func (e *Endpoint) EndUnknown() { e.state.inFlight.Add(-1) }

// Ejected tells whether the endpoint is ejected.
func (e *Endpoint) Ejected() bool { return e.state.ejected() }

func (s *state) ejected() bool {
	until := s.until.Load()
	return until != 0 && until > s.pool.clock()
}

// eject keeps calls from the endpoint for a while. Calls that were in flight when it was ejected, and fail later, do not
// make that longer.
func (s *state) eject(unreachable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, now := s.pool.outlier, s.pool.clock()
	until := s.until.Load()
	if until > now || !unreachable && !s.pool.mayEject(s, now) {
		return
	}
	if until == 0 || now-until > int64(o.Max) {
		s.times = 0
	}
	s.times++
	s.until.Store(now + int64(min(time.Duration(s.times)*o.Base, o.Max)))
	// After the ejection one more failure is enough, until a call succeeds.
	s.failures.Store(int32(o.Failures - 1))
}

// pool holds the states of all endpoints of a router.
type pool struct {
	outlier Outlier
	now     func() time.Time
	start   time.Time // of the clock

	endpoints map[place]*Endpoint // changed with Router.mu held
	peers     atomic.Pointer[map[string][]*state]
}

// place identifies an endpoint: an allocation keeps its address while it lives.
type place struct{ allocation, address string }

func (p *pool) configure(o Outlier, now func() time.Time) {
	if p.endpoints != nil {
		return
	}
	p.endpoints = map[place]*Endpoint{}
	p.outlier, p.now, p.start = o.withDefaults(), now, now()
}

// clock is the time since the pool was made, plus one: never 0. It does not jump with the wall clock.
func (p *pool) clock() int64 { return int64(p.now().Sub(p.start)) + 1 }

// endpoint returns the endpoint at a place: the one that is known, or a new one with the state of the known one if it
// looks different now.
func (p *pool) endpoint(function string, l *Listed) *Endpoint {
	key := place{l.Allocation, l.Address}
	e := p.endpoints[key]
	if e != nil && e.Function == function && e.Release == l.Release && e.Node == l.Node && e.Interface == l.Interface {
		return e
	}
	next := &Endpoint{Allocation: l.Allocation, Function: function, Release: l.Release, Node: l.Node,
		Address: l.Address, Interface: l.Interface}
	if e != nil && e.Function == function {
		next.state = e.state
	} else {
		next.state = &state{pool: p, function: function}
	}
	p.endpoints[key] = next
	return next
}

// prune forgets the endpoints that are not used, and takes note of which belong together.
func (p *pool) prune(used map[*Endpoint]bool) {
	peers := map[string][]*state{}
	for key, e := range p.endpoints {
		if !used[e] {
			delete(p.endpoints, key)
			continue
		}
		peers[e.Function] = append(peers[e.Function], e.state)
	}
	p.peers.Store(&peers)
}

// mayEject tells whether the share of ejected endpoints of a function allows one more.
func (p *pool) mayEject(s *state, now int64) bool {
	peers := p.peers.Load()
	if peers == nil {
		return false
	}
	list := (*peers)[s.function]
	ejected := 0
	for _, o := range list {
		if o != s && o.until.Load() > now {
			ejected++
		}
	}
	return ejected == 0 || float64(ejected+1) <= p.outlier.MaxShare*float64(len(list))
}
