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
	h.telemetry, err = telemetry.New(h.ctx, telemetry.Config{Node: h.config.Bind, Version: control.Version, TrustDomain: h.config.TrustDomain,
		OTLP: telemetry.OTLP{Endpoint: c.OTLPEndpoint, CACert: c.OTLPCACert, SampleRatio: c.SampleRatio}, Log: h.log})
	if err != nil {
		return err
	}
	h.telemetry.Gauges(h.gauges)
	return nil
}

// gauges is the state of the host at the moment of a scrape.
func (h *Host) gauges() telemetry.Gauges {
	g := telemetry.Gauges{TrustBundle: h.trust.Fetched(), ReplayEntries: h.replay.Len() + h.linked.Len(), Links: h.calls.Links()}
	if h.catalog != nil {
		g.Snapshot = &telemetry.Snapshot{Confirmed: time.Now().Add(-h.catalog.Age()), Services: int(h.functions.Load())}
	}
	for _, t := range h.running() {
		if t.attested != nil {
			now := t.attested.standing()
			g.Attested = append(g.Attested, telemetry.Attested{Function: t.request.Function, Allocation: t.request.AllocID,
				Version: now.attested, Latest: now.latest, Floor: now.floor})
		}
	}
	for _, in := range h.calls.Instances() {
		if in.Accepts() {
			c := in.Identity().Certificate
			g.Instances = append(g.Instances, telemetry.Instance{Function: in.Function(), Allocation: in.ID(), Release: in.Release(),
				Issued: c.NotBefore, Expires: c.NotAfter})
		}
	}
	return g
}
