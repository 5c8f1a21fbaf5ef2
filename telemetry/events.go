package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Refused counts a refusal: a call that was not executed or a return that was not handed over. function is the callee,
// or Unknown; side is one of the Side constants; reason is a callsig.Reason, or the code of the call where there is no
// such reason.
func (t *Telemetry) Refused(function, side, reason string) {
	t.refusals.get(labels{function, side, reason}).Inc()
}

// choices are the counters of routing decisions for one callee.
type choices struct{ local, remote prometheus.Counter }

// Chose counts a routing decision for callee: an instance of this host or one on another.
func (t *Telemetry) Chose(callee string, local bool) {
	c := t.choices.get(labels{callee})
	if local {
		c.local.Inc()
		return
	}
	c.remote.Inc()
}

// Retried counts a further try of a call to callee; reason is the code with which the last one failed.
func (t *Telemetry) Retried(callee, reason string) { t.retries.get(labels{callee, reason}).Inc() }

// Ejected counts an instance of callee that is left out for a time.
func (t *Telemetry) Ejected(callee string) { t.ejections.get(labels{callee}).Inc() }

// Handshake counts a connection to or from another host: result is "ok", or why it was not set up, in one word.
func (t *Telemetry) Handshake(result string) { t.handshakes.get(labels{result}).Inc() }

// events returns handles of a counter with names for labels, the first n of which may be many.
func events(vec *prometheus.CounterVec, count, n int) *series[prometheus.Counter] {
	return newSeries(func(l labels) prometheus.Counter { return vec.WithLabelValues(l[:count]...) },
		func(l labels) labels { return l.first(n).only(count) })
}

// only empties the values after the first n, which a metric with n labels does not have.
func (l labels) only(n int) labels {
	for i := n; i < len(l); i++ {
		l[i] = ""
	}
	return l
}
