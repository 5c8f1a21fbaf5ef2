package page

import "countersign/tests/consului/browser"

// Topology is what the Topology tab draws.
type Topology struct {
	Upstreams   []string // that the service may call
	Downstreams []string // that may call it
}

// Topology reads the Topology tab, and saves topology.png. A service that the drawing shows as denied has " (denied)"
// after its name. A phrase in place of services, such as "* (All Services)", is taken as it is, but that there are none.
func (p *Pages) Topology() (Topology, error) {
	if err := p.open("Topology", `document.querySelector("#metrics-container .metrics-header")`); err != nil {
		return Topology{}, err
	}
	t, err := browser.Settled[Topology](p.browser, "topology", script(`
		const cards = containers => all(containers).flatMap(c => all(".topology-metrics-card", c)).
			map(c => text(c.querySelector("p")) + (c.dataset.permission === "deny" ? " (denied)" : "")).
			filter(name => !/^No (up|down)streams/.test(name));
		return {
			Downstreams: cards("#downstream-container"), Upstreams: cards("#upstream-column > div"),
		};`))
	if err != nil {
		return t, err
	}
	return t, p.screenshot("topology")
}
