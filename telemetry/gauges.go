package telemetry

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/telemetry/metric"
)

// Gauges is the state of a host at the moment of a scrape.
type Gauges struct {
	Instances     []Instance
	Attested      []Attested
	TrustBundle   time.Time // when the trusted authorities were last read from Vault; zero: never
	Snapshot      *Snapshot // nil on a host that has no Consul
	ReplayEntries int
	Links         int // open connections between instances of this host and of others
}

// Instance is one running allocation.
type Instance struct {
	Function, Allocation, Release string
	Issued, Expires               time.Time // of its call certificate; zero: it has none yet
}

// Attested tells by which version of its key a running allocation's artifact is attested.
type Attested struct {
	Function, Allocation string
	Version              int // latest that attests it and counts; 0: none, so it would not start again
	Latest, Floor        int // versions of the key: the latest, and the lowest that counts
}

// Snapshot is the routing snapshot.
type Snapshot struct {
	Confirmed time.Time // when Consul last answered; zero: never
	Services  int
}

// Gauges sets where the state is read from at each scrape. f is called from one goroutine at a time per scrape and must
// not wait for calls.
func (t *Telemetry) Gauges(f func() Gauges) { t.state.Store(&f) }

// collector exposes the state of the host.
type collector struct {
	t     *Telemetry
	descs map[string]*prometheus.Desc
}

func newCollector(t *Telemetry) *collector {
	c := &collector{t: t, descs: map[string]*prometheus.Desc{}}
	for _, name := range []string{metric.Instances, metric.CertificateAge, metric.CertificateExpiry, metric.TrustBundleAge,
		metric.SnapshotAge, metric.SnapshotServices, metric.ReplayEntries, metric.Links, metric.AttestedVersion, metric.LatestVersion,
		metric.MinVersion} {
		m := metric.Describe(name)
		c.descs[name] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	f := c.t.state.Load()
	if f == nil {
		return
	}
	g, now := (*f)(), time.Now()
	gauge := func(name string, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.GaugeValue, value, labels...)
	}
	running := map[labels]int{}
	for _, in := range g.Instances {
		running[labels{in.Function, in.Release}]++
		if in.Issued.IsZero() {
			continue
		}
		gauge(metric.CertificateAge, now.Sub(in.Issued).Seconds(), in.Function, in.Allocation)
		gauge(metric.CertificateExpiry, float64(in.Expires.UnixMilli())/1000, in.Function, in.Allocation)
	}
	for l, n := range running {
		gauge(metric.Instances, float64(n), l[0], l[1])
	}
	versions := map[string][2]int{} // instances of one function may know different ones for a moment
	for _, a := range g.Attested {
		gauge(metric.AttestedVersion, float64(a.Version), a.Function, a.Allocation)
		v := versions[a.Function]
		versions[a.Function] = [2]int{max(v[0], a.Latest), max(v[1], a.Floor)}
	}
	for function, v := range versions {
		gauge(metric.LatestVersion, float64(v[0]), function)
		gauge(metric.MinVersion, float64(v[1]), function)
	}
	gauge(metric.TrustBundleAge, age(g.TrustBundle, now))
	if g.Snapshot != nil {
		gauge(metric.SnapshotAge, age(g.Snapshot.Confirmed, now))
		gauge(metric.SnapshotServices, float64(g.Snapshot.Services))
	}
	gauge(metric.ReplayEntries, float64(g.ReplayEntries))
	gauge(metric.Links, float64(g.Links))
	c.t.dropEnded(g.Instances, now)
}

// age is the time since at in seconds. What never was is infinitely old, so that an alert on the age fires.
func age(at, now time.Time) float64 {
	if at.IsZero() {
		return math.Inf(1)
	}
	return now.Sub(at).Seconds()
}
