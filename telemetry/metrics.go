package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// The names of the metrics. Counters end in _total, times are in seconds.
const (
	MetricCalls             = "countersign_calls_total"
	MetricCallDuration      = "countersign_call_duration_seconds"
	MetricServedCalls       = "countersign_served_calls_total"
	MetricCallsInFlight     = "countersign_calls_in_flight"
	MetricRefusals          = "countersign_refusals_total"
	MetricRouteChoices      = "countersign_route_choices_total"
	MetricRouteRetries      = "countersign_route_retries_total"
	MetricEjections         = "countersign_ejections_total"
	MetricHandshakes        = "countersign_link_handshakes_total"
	MetricSpans             = "countersign_spans_total"
	MetricHostInfo          = "countersign_host_info"
	MetricInstances         = "countersign_instances"
	MetricCertificateAge    = "countersign_certificate_age_seconds"
	MetricCertificateExpiry = "countersign_certificate_expiry_timestamp_seconds"
	MetricTrustBundleAge    = "countersign_trust_bundle_age_seconds"
	MetricSnapshotAge       = "countersign_snapshot_age_seconds"
	MetricSnapshotServices  = "countersign_snapshot_services"
	MetricReplayEntries     = "countersign_replay_entries"
	MetricLinks             = "countersign_links"
)

// Metric describes one metric.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram, as in the exposition format
	Labels []string
	Help   string
}

// metrics is the one table of what there is.
var metrics = []Metric{
	{MetricCalls, "counter", []string{"caller", "callee", "route", "code"},
		"Calls that functions of this host made, and calls from outside that it took, by how they ended."},
	{MetricCallDuration, "histogram", []string{"caller", "callee", "route"},
		"Time from the start of such a call to its verified return."},
	{MetricServedCalls, "counter", []string{"function", "release", "code"},
		"Calls that instances of this host answered, by how they ended."},
	{MetricCallsInFlight, "gauge", []string{"function", "release"},
		"Calls that instances of this host are running or have waiting for a slot."},
	{MetricRefusals, "counter", []string{"function", "side", "reason"},
		"Calls and returns that this host refused to execute or to hand over, by the function that was called."},
	{MetricRouteChoices, "counter", []string{"callee", "choice"},
		"Routing decisions for an instance on this host or on another."},
	{MetricRouteRetries, "counter", []string{"callee", "reason"},
		"Further tries of calls that failed on one instance, by the code of the failure."},
	{MetricEjections, "counter", []string{"callee"},
		"Instances that were left out for a time because calls to them kept failing."},
	{MetricHandshakes, "counter", []string{"result"},
		"Connections to and from other hosts that were set up, or why not."},
	{MetricSpans, "counter", []string{"result"},
		"Spans that the OTLP receiver took, and spans that were lost on the way."},
	{MetricHostInfo, "gauge", []string{"node", "version", "trust_domain"},
		"Always 1; its labels say which host this is."},
	{MetricInstances, "gauge", []string{"function", "release"},
		"Instances that run on this host."},
	{MetricCertificateAge, "gauge", []string{"function", "allocation"},
		"Time since the call certificate of an instance was issued; it is renewed at half its life."},
	{MetricCertificateExpiry, "gauge", []string{"function", "allocation"},
		"Unix time at which the call certificate of an instance ends."},
	{MetricTrustBundleAge, "gauge", nil,
		"Time since the trusted certificate authorities were last read from Vault; +Inf if never."},
	{MetricSnapshotAge, "gauge", nil,
		"Time since Consul last confirmed the routing snapshot; +Inf if never, absent on a host without Consul."},
	{MetricSnapshotServices, "gauge", nil,
		"Services in the routing snapshot."},
	{MetricReplayEntries, "gauge", nil,
		"Nonces that are remembered to refuse replayed calls."},
	{MetricLinks, "gauge", nil,
		"Open connections between instances of this host and of others."},
}

// buckets are the upper bounds of the histogram in seconds: from a call within the host to the longest deadline.
var buckets = []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

// Metrics returns the description of every metric of ours, in the order of the documentation. The Go runtime's and the
// process's own are served beside them.
func Metrics() []Metric {
	all := slices.Clone(metrics)
	for i := range all {
		all[i].Labels = slices.Clone(all[i].Labels)
	}
	return all
}

// describe returns the table's entry; a name that is not in it is a bug.
func describe(name string) Metric {
	i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name })
	return metrics[i]
}

func counterVec(reg *prometheus.Registry, name string) *prometheus.CounterVec {
	m := describe(name)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
	reg.MustRegister(v)
	return v
}

func gaugeVec(reg *prometheus.Registry, name string) *prometheus.GaugeVec {
	m := describe(name)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
	reg.MustRegister(v)
	return v
}

func histogramVec(reg *prometheus.Registry, name string) *prometheus.HistogramVec {
	m := describe(name)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
	reg.MustRegister(v)
	return v
}
