package host

import (
	"time"

	"countersign/host/control"
	"countersign/telemetry"
)

// observe prepares metrics and traces.
func (h *Host) observe() error {
	c := h.config.Telemetry
	var err error
	h.telemetry, err = telemetry.New(h.ctx, telemetry.Config{Node: h.node, Version: control.Version, TrustDomain: h.config.TrustDomain,
		OTLP: telemetry.OTLP{Endpoint: c.OTLPEndpoint, CACert: c.OTLPCACert, SampleRatio: c.SampleRatio}, Log: h.log})
	if err != nil {
		return err
	}
	h.telemetry.Gauges(h.gauges)
	return nil
}

// gauges is the state of the host at the moment of a scrape.
func (h *Host) gauges() telemetry.Gauges {
	g := telemetry.Gauges{TrustBundle: h.trust.Fetched(), ReplayEntries: h.replay.Len(), Links: h.links.Open()}
	if h.catalog != nil {
		g.Snapshot = &telemetry.Snapshot{Confirmed: time.Now().Add(-h.catalog.Age()), Services: int(h.functions.Load())}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tasks {
		if t.running() {
			c := t.identity.Current().Certificate
			g.Instances = append(g.Instances, telemetry.Instance{Function: t.Function(), Allocation: t.ID(), Release: t.release(),
				Issued: c.NotBefore, Expires: c.NotAfter})
		}
	}
	return g
}

// named returns a function's name as a label of metrics: one that only a caller claims to exist is none.
func (h *Host) named(function string) string {
	if h.knows(function) || h.router.Known(function) {
		return function
	}
	return telemetry.Unknown
}
