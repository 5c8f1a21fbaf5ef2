package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign"
	"countersign/telemetry/metric"
)

// The values of the label route.
const (
	RouteLocal   = metric.RouteLocal   // to an instance of this host
	RouteRemote  = metric.RouteRemote  // to another host
	RouteIngress = metric.RouteIngress // from outside
)

// The values of the label side: who refused.
const (
	SideCaller  = "caller"  // this host, for the function that called: not permitted, or the return does not verify
	SideCallee  = "callee"  // this host, for the function that was called by another
	SideIngress = "ingress" // this host, at its door: a call from outside
)

// Edge is the caller's side of the calls from one function to another by one route. It is safe for concurrent use.
type Edge struct {
	calls *byCode
	took  prometheus.Observer
}

// Edge returns the handle of (caller, callee, route). caller is the name of a function, or "" for a call from outside.
// callee has to be the name of a function, or Unknown: a name that only a caller claims to exist is no label.
func (t *Telemetry) Edge(caller, callee, route string) *Edge {
	if caller == "" {
		caller = metric.Outside
	}
	return t.edges.get(labels{caller, callee, route})
}

func (t *Telemetry) newEdge(l labels) *Edge {
	fixed := prometheus.Labels{"caller": l[0], "callee": l[1], "route": l[2]}
	return &Edge{calls: newByCode(t.calls, fixed), took: t.durations.With(fixed)}
}

// Done counts a call that ended with code, "" for success, after took.
func (e *Edge) Done(code countersign.Code, took time.Duration) {
	e.calls.inc(code)
	e.took.Observe(took.Seconds())
}

// Served is the callee's side of the calls to one release of a function on this host. It is safe for concurrent use.
type Served struct {
	calls    *byCode
	inFlight prometheus.Gauge
	running  atomic.Int64 // calls in flight
	lastSeen atomic.Int64 // Unix nanoseconds: when an instance of it last ran here
}

// Served returns the handle of a function's release. An instance may keep it while it runs; series of a release that
// Gauges has not listed for ten minutes are dropped.
func (t *Telemetry) Served(function, release string) *Served {
	return t.served.get(labels{function, release})
}

func (t *Telemetry) newServed(l labels) *Served {
	fixed := prometheus.Labels{"function": l[0], "release": l[1]}
	s := &Served{calls: newByCode(t.servedCalls, fixed), inFlight: t.inFlight.With(fixed)}
	s.lastSeen.Store(time.Now().UnixNano())
	return s
}

// Begin counts a call as in flight until End.
func (s *Served) Begin() {
	s.running.Add(1)
	s.inFlight.Inc()
}

// End counts a call that Begin counted and that ended with code, "" for success.
func (s *Served) End(code countersign.Code) {
	s.inFlight.Dec()
	s.running.Add(-1)
	s.calls.inc(code)
}

// keepEnded is for how long the series of a release that no longer runs here are served: long enough for a scraper to
// read the last of them, short enough that a year of deploys leaves nothing behind.
const keepEnded = 10 * time.Minute

// dropEnded forgets the releases of which no instance is in running since keepEnded before now.
func (t *Telemetry) dropEnded(running []Instance, now time.Time) {
	here := make(map[labels]bool, len(running))
	for _, in := range running {
		here[labels{in.Function, in.Release}] = true
	}
	t.served.drop(func(l labels, s *Served) bool {
		if here[l] || s.running.Load() > 0 {
			s.lastSeen.Store(now.UnixNano())
		}
		return now.Sub(time.Unix(0, s.lastSeen.Load())) > keepEnded
	}, func(l labels) {
		fixed := prometheus.Labels{"function": l[0], "release": l[1]}
		t.servedCalls.DeletePartialMatch(fixed)
		t.inFlight.Delete(fixed)
	})
}
