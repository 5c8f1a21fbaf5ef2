package callgraph

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign/telemetry/metric"
)

// Overview is the state of functions and hosts, and what happened during a window.
type Overview struct {
	SinceStart bool
	Window     time.Duration
	Functions  []Function // by name
	Hosts      []Host     // by node and address
	Stray      float64    // calls refused in the window that named a function which neither runs nor is called by one
}

// Function is the state of one function on all hosts.
type Function struct {
	Name           string
	Releases       []string // that run, or did a short time ago
	Instances      int
	Hosts          int     // on which its instances run
	Rate           float64 // calls it answers a second
	P50, P99       time.Duration
	InFlight       int
	Errors         float64  // share of the answered calls that failed
	Local          *float64 // share of the calls from functions that stayed on their host; nil: there are none
	Refused        float64  // calls and returns, since the hosts started
	RefusedNow     float64  // of these, in the window
	CertificateAge time.Duration
	Expires        time.Time // of the certificate that ends first; zero: no instance has one
}

// Host is the state of one host.
type Host struct {
	Address, Node, Version string
	Silent                 bool // it did not answer; nothing below is known
	Instances              int
	Rate                   float64 // calls that its instances answer a second
	InFlight               int
	CPU                    float64 // cores
	Memory                 float64 // bytes resident
	Links                  int
	SnapshotAge            *float64 // seconds; nil: a host without Consul
	TrustAge               *float64 // seconds
}

// builder collects an overview.
type builder struct {
	functions map[string]*Function
	made      map[string]*tally // calls to a function, as its callers count them
	answered  map[string]*tally // as its hosts count them
	releases  map[string]map[string]bool
}

// Overview returns the functions and hosts of the window.
func (w Window) Overview() *Overview {
	b := &builder{map[string]*Function{}, map[string]*tally{}, map[string]*tally{}, map[string]map[string]bool{}}
	o := &Overview{SinceStart: w.total, Window: seconds(w.seconds())}
	for _, s := range w.hosts {
		b.calls(s)
		o.Hosts = append(o.Hosts, b.host(s))
	}
	for name, made := range b.made {
		if made.calls > 0 {
			b.function(name)
		}
	}
	for name, f := range b.functions {
		answered, made := at(b.answered, name), at(b.made, name)
		// Counters outlive functions, and anybody can name in a call what has never been one.
		if f.Instances == 0 && answered.calls == 0 && made.calls == 0 {
			o.Stray += f.RefusedNow
			continue
		}
		f.Rate, f.Errors = answered.rate, answered.errors()
		f.P50, f.P99, f.Local = made.took.quantile(.5), made.took.quantile(.99), made.share()
		f.Releases = slices.Sorted(maps.Keys(b.releases[name]))
		o.Functions = append(o.Functions, *f)
	}
	slices.SortFunc(o.Functions, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Hosts, byNode)
	return o
}

func byNode(a, b Host) int {
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Address, b.Address))
}

// Without returns o with the hosts that are lost by the errors of Fetch. Their names are those that last has.
func (o *Overview) Without(lost []error, last *Overview) *Overview {
	with := *o
	with.Hosts = slices.Clone(o.Hosts)
	for _, err := range lost {
		var e *HostError
		if !errors.As(err, &e) {
			continue
		}
		same := func(h Host) bool { return h.Address == e.Host }
		silent := Host{Address: e.Host, Node: "?", Silent: true}
		if i := slices.IndexFunc(last.Hosts, same); i >= 0 {
			silent.Node = last.Hosts[i].Node
		}
		with.Hosts = append(slices.DeleteFunc(with.Hosts, same), silent)
	}
	slices.SortFunc(with.Hosts, byNode)
	return &with
}

func at(tallies map[string]*tally, name string) *tally {
	if tallies[name] == nil {
		tallies[name] = &tally{took: latency{}}
	}
	return tallies[name]
}

func (b *builder) function(name string) *Function {
	if b.functions[name] == nil {
		b.functions[name] = &Function{Name: name}
	}
	return b.functions[name]
}

// calls adds up what one host counted of calls.
func (b *builder) calls(s span) {
	s.counted(metric.Calls, func(labels map[string]string, rise sample) {
		at(b.made, labels["callee"]).count(s, labels, rise.value)
	})
	s.counted(metric.CallDuration, func(labels map[string]string, rise sample) {
		at(b.made, labels["callee"]).took.add(rise)
	})
	s.counted(metric.ServedCalls, func(labels map[string]string, rise sample) {
		b.function(labels["function"])
		at(b.answered, labels["function"]).count(s, labels, rise.value)
	})
	s.counted(metric.Refusals, func(labels map[string]string, rise sample) {
		b.function(labels["function"]).RefusedNow += rise.value
	})
	s.read(metric.Refusals, func(labels map[string]string, value float64) {
		b.function(labels["function"]).Refused += value
	})
}

// host returns the state of one host and adds its instances to their functions.
func (b *builder) host(s span) Host {
	h := Host{Address: s.after.Host}
	s.read(metric.HostInfo, func(labels map[string]string, _ float64) {
		h.Node, h.Version = labels["node"], labels["version"]
	})
	here := map[string]bool{}
	s.read(metric.Instances, func(labels map[string]string, value float64) {
		name := labels["function"]
		f := b.function(name)
		f.Instances += int(value)
		h.Instances += int(value)
		if b.releases[name] == nil {
			b.releases[name] = map[string]bool{}
		}
		b.releases[name][labels["release"]] = true
		if !here[name] {
			here[name] = true
			f.Hosts++
		}
	})
	s.read(metric.CallsInFlight, func(labels map[string]string, value float64) {
		b.function(labels["function"]).InFlight += int(value)
		h.InFlight += int(value)
	})
	b.certificates(s)
	s.counted(metric.ServedCalls, func(_ map[string]string, rise sample) { h.Rate += s.rate(rise.value) })
	s.counted("process_cpu_seconds_total", func(_ map[string]string, rise sample) { h.CPU += s.rate(rise.value) })
	s.read("process_resident_memory_bytes", func(_ map[string]string, value float64) { h.Memory = value })
	s.read(metric.Links, func(_ map[string]string, value float64) { h.Links = int(value) })
	s.read(metric.SnapshotAge, func(_ map[string]string, value float64) { h.SnapshotAge = &value })
	s.read(metric.TrustBundleAge, func(_ map[string]string, value float64) { h.TrustAge = &value })
	return h
}

// certificates keeps the oldest certificate of each function and the one that ends first.
func (b *builder) certificates(s span) {
	s.read(metric.CertificateAge, func(labels map[string]string, value float64) {
		f := b.function(labels["function"])
		f.CertificateAge = max(f.CertificateAge, seconds(value))
	})
	s.read(metric.CertificateExpiry, func(labels map[string]string, value float64) {
		f, expires := b.function(labels["function"]), time.UnixMilli(int64(value*1000))
		if f.Expires.IsZero() || expires.Before(f.Expires) {
			f.Expires = expires
		}
	})
}
