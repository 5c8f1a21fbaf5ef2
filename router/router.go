// Package router decides where a call goes. It owns the routing table of a node, the choice among instances and the
// record of which of them fail; it must not know Consul's API, Nomad, signatures, connections or runtimes.
//
// What Consul says comes in as a Snapshot, which Update compiles into an immutable table behind one atomic pointer. A
// decision reads that pointer: it asks nobody, waits for nothing and allocates nothing. docs/routing.md tells what of
// Consul's config entries is honoured.
package router

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Instance is something that can be called: one running allocation of a function on this host.
type Instance interface {
	// ID is the allocation's ID.
	ID() string
	// Function is the name of the function that the instance runs.
	Function() string
	// InterfaceDigest is sha256:<hex> of what the instance looks like to its callers.
	InterfaceDigest() string
	// InFlight is the number of calls that the instance is running or has waiting.
	InFlight() int
}

// Router is the routing table of a node. The zero value is ready to use: until the first Update it routes calls from
// outside to instances of this host, and refuses calls between functions, since it does not know the intentions. Its methods may be called at the same time; the exported fields must be set before the first one.
type Router[T Instance] struct {
	// Standalone says that there is no Consul: intentions are not consulted, and only instances of this host are
	// called.
	Standalone bool

	// Outlier says when an endpoint that fails is ejected. The zero value stands for DefaultOutlier.
	Outlier Outlier

	// Now is the clock of ejections. Nil stands for time.Now.
	Now func() time.Time

	current atomic.Pointer[table[T]]

	mu       sync.Mutex // serializes changes; a decision never takes it
	snapshot *Snapshot  // nil until the first Update
	local    map[string][]T
	gone     map[string]time.Time // allocations that were local, until Consul stops listing them
	pool     pool
}

// Query asks where a call should go.
type Query struct {
	// Caller is the function that calls. "" is a call from outside.
	Caller string

	// Callee is the function to be called. The host has checked that the caller's attested spec lists it.
	Callee string

	// Allowed tells whether the caller's attested spec lists a function. A redirect, split or failover to another
	// function than Callee is followed only if it is Allowed. It is nil for a call from outside: such a call follows
	// only to functions with ingress.
	Allowed func(function string) bool

	// Header returns a header field of the request, "" if there is none, for the matches of service-routers. Nil: the
	// call has none.
	Header func(name string) string

	// Fits tells whether the caller's code and an instance with an interface digest understand each other, as far as the
	// caller knows. Instances that do not fit are passed over, whatever the weights of a service-splitter are, unless there
	// are no others: it is the callee's host that decides. Nil: all fit. It is not asked about endpoints whose interface
	// Consul does not have.
	Fits func(interfaceDigest string) bool

	// Tried holds the endpoints that were tried in vain for this call: they are not chosen again.
	Tried []*Endpoint

	// LocalTried likewise holds IDs of allocations of this host.
	LocalTried []string
}

// Choice is where a call goes: to Local if IsLocal, otherwise to Remote.
type Choice[T Instance] struct {
	Local   T
	IsLocal bool
	Remote  *Endpoint

	// Function is the function that is really called, the callee of the signature. It differs from Query.Callee after
	// a redirect, a split or a failover to another function.
	Function string

	// Policy is what the config entries say about the call. It is shared: don't change it.
	Policy *Policy
}

// Policy holds the limits of a call that come from service-router and service-resolver.
type Policy struct {
	// ConnectTimeout limits making a connection. Never 0.
	ConnectTimeout time.Duration

	// RequestTimeout limits the call with its retries; 0 is no limit but the call's deadline.
	RequestTimeout time.Duration

	// Retries is how many further instances may be tried.
	Retries int
}

// Limits of a call about which no config entry says anything.
const (
	DefaultConnectTimeout = time.Second
	DefaultRetries        = 2
	// MaxRetries caps the num_retries of a service-router.
	MaxRetries = 10
)

// tombstoneTime is how long an allocation that left this host is remembered when Consul does not list it: one that is
// stopped while Consul registers it can be listed afterwards.
const tombstoneTime = time.Minute

// Add makes an instance of this host eligible for calls. Adding one that is there already is a no-op.
func (r *Router[T]) Add(in T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.local[in.Function()]
	if slices.ContainsFunc(list, func(o T) bool { return o.ID() == in.ID() }) {
		return
	}
	if r.local == nil {
		r.local = map[string][]T{}
	}
	delete(r.gone, in.ID())
	r.local[in.Function()] = append(slices.Clip(list), in)
	r.compile()
}

// Remove takes an instance of this host out; calls that it has already go on. Consul may list it for a while yet: it is
// not called as a remote one either.
func (r *Router[T]) Remove(in T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.local[in.Function()]
	list := slices.DeleteFunc(slices.Clone(old), func(o T) bool { return o.ID() == in.ID() })
	if len(list) == len(old) {
		return
	}
	if len(list) == 0 {
		delete(r.local, in.Function())
	} else {
		r.local[in.Function()] = list
	}
	if r.gone == nil {
		r.gone = map[string]time.Time{}
	}
	r.gone[in.ID()] = r.now()
	r.compile()
}

// Update replaces what is known from Consul. The snapshot belongs to the router from then on. Calls that are being
// routed finish with the table that they have; in-flight counts and ejections of endpoints stay.
func (r *Router[T]) Update(s Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snapshot = &s
	r.compile()
}

// compile makes the table anew. The caller holds r.mu.
func (r *Router[T]) compile() {
	r.pool.configure(r.Outlier, r.now)
	c := &compiler[T]{local: r.local, gone: r.gone, pool: &r.pool}
	next := c.table(r.snapshot)
	if r.snapshot != nil {
		r.pool.prune(c.used)
		now := r.now()
		maps.DeleteFunc(r.gone, func(id string, at time.Time) bool {
			return !c.listed[id] && now.Sub(at) > tombstoneTime
		})
	}
	r.current.Store(next)
}

func (r *Router[T]) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// Permitted tells whether Consul's intentions let caller call callee, for the callee's side, which does not rely on the
// caller's node to have asked. A caller of "" is a call from outside, to which the spec's ingress applies and no
// intention. The error is a *countersign.CallError: CodeNotPermitted, or CodeUnavailable before the first Update.
func (r *Router[T]) Permitted(caller, callee string) error {
	if r.Standalone || caller == "" {
		return nil
	}
	t := r.current.Load()
	if t == nil || !t.loaded {
		return intentionsUnknown(callee)
	}
	if ok, why := t.intentions.permit(caller, callee); !ok {
		return notPermitted(caller, callee, why)
	}
	return nil
}
