package page

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"countersign/tests/consului/browser"
)

// Route is a card of the router and the line that leads from it.
type Route struct {
	Match string `json:"match"` // as drawn, "Prefix /v2", and what it says about headers, methods, …: see Routing
	To    string `json:"to"`    // "splitter:quote", "resolver:quote", "resolver:canary.quote"
}

// Routing is what the Routing tab draws.
type Routing struct {
	Routes []Route
	// Splits has the percentage that the page shows when the mouse is on a split's line. The key is the name of a
	// subset of the service or of another service, perhaps with its subset in front ("fx", "canary.fx").
	Splits map[string]float64
	// Subsets has the names of the subsets drawn under the service's resolver.
	Subsets []string
	// Filters has the filter of each subset. The page does not draw filters: they are in the answer that it drew the
	// subsets from.
	Filters map[string]string
}

// drawing is what the tab has before the mouse moves.
type drawing struct {
	Routes []struct {
		ID    string
		Match string
	}
	Resolvers []string // IDs, with subsets'
	Lines     []string // "from>to"
	Splits    []string // the same, those with percentages
}

const readDrawing = `
	const pairs = (root, selector) => all(selector, root).map(s => {
		const values = all("dd", s).map(text);
		return text(s.querySelector("h4")).toLowerCase() + ": " +
			all("dt", s).map((name, i) => text(name) + " " + values[i]).join(", ");
	});
	return {
		Routes: all(".routes .route-card").map(c => ({ID: c.id, Match: [
			all("header .match-methods li", c).map(text).join(" "),
			text(c.querySelector("header > dl > dt")) + " " + text(c.querySelector("header > dl > dd")),
			...pairs(c, "section"),
		].filter(s => s).join("; ")})),
		Resolvers: all(".resolver-card [id^='resolver:']").map(e => e.id),
		Lines: all("svg.edges path:not(.split)").map(e => e.id),
		Splits: all("svg.edges path.split").map(e => e.id),
	};`

// Routing reads the Routing tab. It saves routing.png and, for each split and with the mouse on it, a
// routing-<key of Splits>.png. A route's match is drawn in parts, which are joined by "; ": methods, path, headers
// ("Prefix /; headers: x-debug exactly matching "1"").
func (p *Pages) Routing() (Routing, error) {
	const drawn = `document.querySelector(".discovery-chain .resolver-card") &&
		document.querySelector(".discovery-chain svg.edges path")`
	if err := p.open("Routing", drawn); err != nil {
		return Routing{}, err
	}
	d, err := browser.Settled[drawing](p.browser, "drawing of routes", script(readDrawing))
	if err != nil {
		return Routing{}, err
	}
	if err := p.screenshot("routing"); err != nil {
		return Routing{}, err
	}
	r := Routing{Splits: map[string]float64{}, Filters: map[string]string{}}
	for _, route := range d.Routes {
		to := "nothing"
		for _, line := range d.Lines {
			if from, end, _ := strings.Cut(line, ">"); from == route.ID {
				to = short(end)
			}
		}
		r.Routes = append(r.Routes, Route{Match: route.Match, To: to})
	}
	for _, id := range d.Resolvers {
		if subset, service, ok := strings.Cut(strings.TrimPrefix(short(id), "resolver:"), "."); ok && service == p.service {
			r.Subsets = append(r.Subsets, subset)
		}
	}
	for _, line := range d.Splits {
		key := p.splitKey(line)
		if r.Splits[key], err = p.weight(line); err != nil {
			return r, err
		}
		if err := p.screenshot("routing-" + key); err != nil {
			return r, err
		}
	}
	r.Filters, err = p.filters()
	return r, err
}

// short takes namespace, partition and datacenter, which are always the same, off the name of something drawn:
// "resolver:canary.quote.default.default.dc1" becomes "resolver:canary.quote".
func short(id string) string {
	kind, name, _ := strings.Cut(id, ":")
	labels := strings.Split(name, ".")
	fixed := 2
	if kind == "resolver" {
		fixed = 3
	}
	if len(labels) > fixed {
		labels = labels[:len(labels)-fixed]
	}
	return kind + ":" + strings.Join(labels, ".")
}

// splitKey returns the key in Routing.Splits of a line "splitter:quote>resolver:canary.quote.default.default.dc1".
func (p *Pages) splitKey(line string) string {
	from, to, _ := strings.Cut(line, ">")
	key := strings.TrimPrefix(short(to), "resolver:")
	key = strings.TrimSuffix(key, "."+p.service)
	if splitter := strings.TrimPrefix(from, "splitter:"); splitter != p.service {
		key = splitter + ">" + key // of a service that a route leads to
	}
	return key
}

// weight puts the mouse on a line and returns the percentage of the tooltip that then belongs to it.
func (p *Pages) weight(line string) (float64, error) {
	type point struct{ X, Y float64 }
	// Lines are thin and run over each other: take a point at which the line is what the mouse is on.
	at, err := browser.Eval[*point](p.browser, script(`
		const path = document.getElementById(`+quote(line)+`), length = path.getTotalLength();
		for (let part = 0.95; part > 0; part -= 0.02) {
			const at = path.getPointAtLength(length * part).matrixTransform(path.getScreenCTM());
			if (document.elementFromPoint(at.x, at.y) === path) return {X: at.x, Y: at.y};
		}
		return null;`))
	if err != nil {
		return 0, err
	}
	if at == nil {
		return 0, fmt.Errorf("read the weight of %s: other lines cover the whole line", line)
	}
	if err := p.browser.Hover(at.X, at.Y); err != nil {
		return 0, err
	}
	tooltip := `document.getElementById(document.getElementById(` + quote(line) + `).getAttribute("aria-describedby")).
		querySelector(".tippy-content").textContent.trim()`
	if err := p.browser.Wait("a percentage on the line "+line, tooltip+`.endsWith("%")`, "false"); err != nil {
		return 0, err
	}
	shown, err := browser.Eval[string](p.browser, tooltip)
	if err != nil {
		return 0, err
	}
	weight, err := strconv.ParseFloat(strings.TrimSuffix(shown, "%"), 64)
	if err != nil {
		return 0, fmt.Errorf("read the weight of %s: the page shows %q", line, shown)
	}
	return weight, nil
}

// filters returns the filters of the service's subsets.
func (p *Pages) filters() (map[string]string, error) {
	body, err := p.browser.Answer("/v1/discovery-chain/" + url.PathEscape(p.service))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Chain struct {
			Targets map[string]struct {
				Service       string
				ServiceSubset string
				Subset        struct{ Filter string }
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read what the Routing tab got from Consul: %w", err)
	}
	filters := map[string]string{}
	for _, t := range answer.Chain.Targets {
		if t.Service == p.service && t.ServiceSubset != "" {
			filters[t.ServiceSubset] = t.Subset.Filter
		}
	}
	return filters, nil
}
