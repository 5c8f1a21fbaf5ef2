// Package metric names the metrics of a host for those who count them and those who read them.
//
// It owns the names, types, labels and help texts (docs/metrics.md is tested against them) and those values of labels
// that readers look for. It must not know how metrics are counted, served or read.
package metric

import "slices"

// The names of the metrics. Counters end in _total, times are in seconds.
const (
	Calls             = "countersign_calls_total"
	CallDuration      = "countersign_call_duration_seconds"
	ServedCalls       = "countersign_served_calls_total"
	CallsInFlight     = "countersign_calls_in_flight"
	Refusals          = "countersign_refusals_total"
	RouteChoices      = "countersign_route_choices_total"
	RouteRetries      = "countersign_route_retries_total"
	Ejections         = "countersign_ejections_total"
	Handshakes        = "countersign_link_handshakes_total"
	Spans             = "countersign_spans_total"
	HostInfo          = "countersign_host_info"
	Instances         = "countersign_instances"
	CertificateAge    = "countersign_certificate_age_seconds"
	CertificateExpiry = "countersign_certificate_expiry_timestamp_seconds"
	AttestedVersion   = "countersign_attested_key_version"
	LatestVersion     = "countersign_latest_key_version"
	MinVersion        = "countersign_min_key_version"
	TrustBundleAge    = "countersign_trust_bundle_age_seconds"
	SnapshotAge       = "countersign_snapshot_age_seconds"
	SnapshotServices  = "countersign_snapshot_services"
	ReplayEntries     = "countersign_replay_entries"
	Links             = "countersign_links"
)

// Description describes one metric.
type Description struct {
	Name   string
	Type   string // counter, gauge or histogram, as in the exposition format
	Labels []string
	Help   string
}

// metrics is the one table of what there is.
var metrics = []Description{
	{Calls, "counter", []string{"caller", "callee", "route", "code"},
		"Calls that functions of this host made, and calls from outside that it took, by how they ended."},
	{CallDuration, "histogram", []string{"caller", "callee", "route"},
		"Time from the start of such a call to its verified return."},
	{ServedCalls, "counter", []string{"function", "release", "code"},
		"Calls that instances of this host answered, by how they ended."},
	{CallsInFlight, "gauge", []string{"function", "release"},
		"Calls that instances of this host are running or have waiting for a slot."},
	{Refusals, "counter", []string{"function", "side", "reason"},
		"Calls and returns that this host refused to execute or to hand over, by the function that was called."},
	{RouteChoices, "counter", []string{"callee", "choice"},
		"Routing decisions for an instance on this host or on another."},
	{RouteRetries, "counter", []string{"callee", "reason"},
		"Further tries of calls that failed on one instance, by the code of the failure."},
	{Ejections, "counter", []string{"callee"},
		"Instances that were left out for a time because calls to them kept failing."},
	{Handshakes, "counter", []string{"result"},
		"Connections to and from other hosts that were set up, or why not."},
	{Spans, "counter", []string{"result"},
		"Spans that the OTLP receiver took, and spans that were lost on the way."},
	{HostInfo, "gauge", []string{"node", "version", "trust_domain"},
		"Always 1; its labels say which host this is."},
	{Instances, "gauge", []string{"function", "release"},
		"Instances that run on this host."},
	{CertificateAge, "gauge", []string{"function", "allocation"},
		"Time since the call certificate of an instance was issued; it is renewed at half its life."},
	{CertificateExpiry, "gauge", []string{"function", "allocation"},
		"Unix time at which the call certificate of an instance ends."},
	{AttestedVersion, "gauge", []string{"function", "allocation"},
		"Latest key version that attests an instance's artifact and counts; 0: none, it would not start again."},
	{LatestVersion, "gauge", []string{"function"},
		"Latest version of the function's key in Vault, as far as this host knows."},
	{MinVersion, "gauge", []string{"function"},
		"Lowest version of the function's key that counts (min_decryption_version), as far as this host knows."},
	{TrustBundleAge, "gauge", nil,
		"Time since the trusted certificate authorities were last read from Vault; +Inf if never."},
	{SnapshotAge, "gauge", nil,
		"Time since Consul last confirmed the routing snapshot; +Inf if never, absent on a host without Consul."},
	{SnapshotServices, "gauge", nil,
		"Services in the routing snapshot."},
	{ReplayEntries, "gauge", nil,
		"Nonces that are remembered to refuse replayed calls."},
	{Links, "gauge", nil,
		"Open connections between instances of this host and of others."},
}

// Values of the label route.
const (
	RouteLocal   = "local"   // to an instance of the same host
	RouteRemote  = "remote"  // to another host
	RouteIngress = "ingress" // from outside
)

// Outside is the value of the label caller for calls that no function made.
const Outside = "outside"

// All returns the description of every metric of ours, in the order of the documentation. The Go runtime's and the
// process's own are served beside them.
func All() []Description {
	all := slices.Clone(metrics)
	for i := range all {
		all[i].Labels = slices.Clone(all[i].Labels)
	}
	return all
}

// Describe returns the entry of name; a name that is not in the table is a bug, and panics.
func Describe(name string) Description {
	i := slices.IndexFunc(metrics, func(m Description) bool { return m.Name == name })
	return metrics[i]
}
