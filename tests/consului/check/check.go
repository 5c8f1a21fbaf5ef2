package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/tests/consului/page"
)

// Result is the outcome of one check.
type Result struct {
	OK     bool
	Tab    string
	Wanted string
	Shows  string // what the page shows instead, if not OK
}

// String is a line for people.
func (r Result) String() string {
	if r.OK {
		return fmt.Sprintf("ok    %s: %s", r.Tab, r.Wanted)
	}
	return fmt.Sprintf("FAIL  %s: wanted %s; the page shows %s", r.Tab, r.Wanted, r.Shows)
}

// Instances compares the instances. One that is there and not expected fails, too.
func Instances(want []Instance, shown []page.Instance) (results []Result) {
	const tab = "Instances"
	rest := slices.Clone(shown)
	for _, w := range want {
		i := slices.IndexFunc(rest, w.matches)
		results = append(results, Result{OK: i >= 0, Tab: tab, Wanted: w.String()})
		if i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	results = append(results, Result{OK: len(rest) == 0, Tab: tab, Wanted: "no other instance"})
	for i := range results {
		results[i].Shows = instances(rest) // in place of what is missing
	}
	return results
}

// matches tells whether an instance shown is this one. What its tags say has to be what its meta says.
func (w Instance) matches(s page.Instance) bool {
	for _, tag := range append([]string{"release-" + w.Release}, w.Tags...) {
		if !slices.Contains(s.Tags, tag) {
			return false
		}
	}
	for _, tag := range s.Tags {
		if strings.HasPrefix(tag, "io-") && !slices.Contains(w.Tags, tag) {
			return false
		}
	}
	return s.Node == w.Node && s.Meta["release"] == w.Release && s.Meta["artifact_digest"] == w.Artifact
}

// String describes the instance.
func (w Instance) String() string {
	return describe(w.Release, w.Artifact, w.Node, w.Tags)
}

func describe(release, artifact, node string, tags []string) string {
	return fmt.Sprintf("release %s of %s on %s with tags %s", release, artifact, node, strings.Join(tags, ", "))
}

func instances(list []page.Instance) string {
	var texts []string
	for _, s := range list {
		texts = append(texts, describe(s.Meta["release"], s.Meta["artifact_digest"], s.Node, s.Tags))
	}
	return enumerate(texts, "; ")
}

// Intentions compares the intentions, in any order.
func Intentions(want, shown []page.Intention) []Result {
	texts := func(list []page.Intention) (texts []string) {
		for _, i := range list {
			texts = append(texts, fmt.Sprintf("%s -> %s %s", i.Source, i.Destination, i.Action))
		}
		return texts
	}
	return sameSet("Intentions", "intention", texts(want), texts(shown))
}

// Compare compares the topology.
func (want *Topology) Compare(shown page.Topology) []Result {
	results := sameSet("Topology", "downstream", want.Downstreams, shown.Downstreams)
	return append(results, sameSet("Topology", "upstream", want.Upstreams, shown.Upstreams)...)
}

// Compare compares the routing: routes in their order, splits and subsets by name.
func (want *Routing) Compare(shown page.Routing) (results []Result) {
	const tab = "Routing"
	add := func(ok bool, wanted, shows string) {
		results = append(results, Result{OK: ok, Tab: tab, Wanted: wanted, Shows: shows})
	}
	for i, w := range want.Routes {
		ok := i < len(shown.Routes) && shown.Routes[i] == w
		add(ok, fmt.Sprintf("route %d %s", i+1, route(w)), routes(shown.Routes[min(i, len(shown.Routes)):]))
	}
	others := shown.Routes[min(len(want.Routes), len(shown.Routes)):]
	add(len(others) == 0, "no other route", routes(others))

	percentages := map[string]string{}
	for key, weight := range shown.Splits {
		percentages[key] = fmt.Sprintf("%g%%", weight)
	}
	for _, key := range slices.Sorted(maps.Keys(want.Splits)) {
		weight := fmt.Sprintf("%g%%", want.Splits[key])
		add(percentages[key] == weight, fmt.Sprintf("split %s=%s", key, weight), pairs(percentages))
		delete(percentages, key)
	}
	add(len(percentages) == 0, "no other split", pairs(percentages))

	results = append(results, sameSet(tab, "subset", slices.Sorted(maps.Keys(want.Subsets)), shown.Subsets)...)
	for _, subset := range slices.Sorted(maps.Keys(want.Subsets)) {
		filter, ok := shown.Filters[subset]
		add(ok && filter == want.Subsets[subset],
			fmt.Sprintf("filter of subset %s: %s (not drawn, but in the answer that is)", subset, want.Subsets[subset]),
			fmt.Sprintf("%q", filter))
	}
	return results
}

func route(r page.Route) string { return fmt.Sprintf("%q to %s", r.Match, r.To) }

func routes(list []page.Route) string {
	var texts []string
	for _, r := range list {
		texts = append(texts, route(r))
	}
	return enumerate(texts, ", ")
}

func pairs(m map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		texts = append(texts, key+"="+m[key])
	}
	return enumerate(texts, ", ")
}

// sameSet checks that each text wanted is shown, and that nothing else is.
func sameSet(tab, kind string, want, shown []string) (results []Result) {
	rest := slices.Clone(shown)
	for _, w := range want {
		i := slices.Index(rest, w)
		results = append(results, Result{OK: i >= 0, Tab: tab, Wanted: kind + " " + w, Shows: enumerate(shown, ", ")})
		if i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return append(results, Result{OK: len(rest) == 0, Tab: tab, Wanted: "no other " + kind, Shows: enumerate(rest, ", ")})
}

func enumerate(texts []string, separator string) string {
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, separator)
}
