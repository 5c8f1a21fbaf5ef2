package callgraph

import (
	"cmp"
	"slices"
	"time"

	"countersign/telemetry/metric"
)

// Graph is who called whom during a window.
type Graph struct {
	SinceStart bool    `json:"since_start"` // the window is the life of each host
	Seconds    float64 `json:"seconds"`     // length of the window, of the oldest host if it is their lives
	Hosts      int     `json:"hosts"`
	Edges      []Edge  `json:"edges"` // calls from outside first, then by caller and callee
}

// Edge is the calls from one function to another.
type Edge struct {
	Caller string        `json:"caller"` // metric.Outside for calls that no function made
	Callee string        `json:"callee"`
	Calls  float64       `json:"calls"`       // in the window
	Rate   float64       `json:"rate"`        // calls a second
	P50    time.Duration `json:"p50_ns"`      // half took no longer; 0: not known
	P99    time.Duration `json:"p99_ns"`      // 99 of 100 took no longer; 0: not known
	Errors float64       `json:"error_share"` // of the calls, 0 to 1
	Local  *float64      `json:"local_share"` // of the calls between functions, 0 to 1; nil: there are none
}

// tally adds up the calls of an edge or to a function.
type tally struct {
	calls, rate, failed, local, remote float64
	took                               latency
}

func (t *tally) count(s span, labels map[string]string, rise float64) {
	t.calls += rise
	t.rate += s.rate(rise)
	if labels["code"] != "ok" {
		t.failed += rise
	}
	switch labels["route"] {
	case metric.RouteLocal:
		t.local += rise
	case metric.RouteRemote:
		t.remote += rise
	}
}

// errors returns the share of the calls that failed.
func (t *tally) errors() float64 {
	if t.calls == 0 {
		return 0
	}
	return t.failed / t.calls
}

// share returns the share of the calls between functions that stayed on their host, or nil.
func (t *tally) share() *float64 {
	if t.local+t.remote == 0 {
		return nil
	}
	share := t.local / (t.local + t.remote)
	return &share
}

// Graph returns the calls of the window; an edge without a call in it is left out.
func (w Window) Graph() *Graph {
	type ends struct{ caller, callee string }
	edges := map[ends]*tally{}
	at := func(labels map[string]string) *tally {
		e := ends{labels["caller"], labels["callee"]}
		if edges[e] == nil {
			edges[e] = &tally{took: latency{}}
		}
		return edges[e]
	}
	for _, s := range w.hosts {
		s.counted(metric.Calls, func(labels map[string]string, rise sample) {
			at(labels).count(s, labels, rise.value)
		})
		s.counted(metric.CallDuration, func(labels map[string]string, rise sample) {
			at(labels).took.add(rise)
		})
	}
	g := &Graph{SinceStart: w.total, Seconds: w.seconds(), Hosts: len(w.hosts), Edges: []Edge{}}
	for e, t := range edges {
		if t.calls > 0 {
			g.Edges = append(g.Edges, Edge{Caller: e.caller, Callee: e.callee, Calls: t.calls, Rate: t.rate,
				P50: t.took.quantile(.5), P99: t.took.quantile(.99), Errors: t.errors(), Local: t.share()})
		}
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(compareNames(a.Caller, b.Caller), compareNames(a.Callee, b.Callee))
	})
	return g
}

// compareNames puts what is no function, outside, before all functions.
func compareNames(a, b string) int {
	if (a == metric.Outside) != (b == metric.Outside) {
		if a == metric.Outside {
			return -1
		}
		return 1
	}
	return cmp.Compare(a, b)
}

// names returns all callers and callees, outside first.
func (g *Graph) names() []string {
	var names []string
	for _, e := range g.Edges {
		names = append(names, e.Caller, e.Callee)
	}
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}
