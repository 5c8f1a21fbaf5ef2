package catalog

import (
	"maps"
	"slices"
	"time"

	"countersign/router"
)

// data holds the last answers.
type data struct {
	intentions    []router.Intention
	hasIntentions bool
	functions     []router.Function
	hasFunctions  bool
	distances     map[string]time.Duration
	chains        map[string]*chainData // by function; there once the chain was answered
	health        map[targetKey][]router.Listed
}

// chainData holds a function's chain.
type chainData struct {
	latest *chain
	shown  *chain // the last one whose targets were all known, which is in the snapshots; nil before
}

// chain is a discovery chain without the instances.
type chain struct {
	router.Chain
	keys  map[string]targetKey // of the targets that can be watched
	notes []string             // what is not honoured
}

// targetKey is what the query for the instances of a target depends on.
type targetKey struct {
	function, filter, datacenter string
	onlyPassing                  bool // instances with warnings are not healthy
}

func newData() data {
	return data{chains: map[string]*chainData{}, health: map[targetKey][]router.Listed{}}
}

// targets returns the targets to watch: of the chain that is shown, and of the one that comes.
func (c *chainData) targets() []targetKey {
	keys := slices.Collect(maps.Values(c.latest.keys))
	if c.shown != nil {
		keys = slices.AppendSeq(keys, maps.Values(c.shown.keys))
	}
	return keys
}

// forget drops what a watch that was stopped had found, and tells whether a snapshot shows it.
func (d *data) forget(key watchKey) bool {
	switch key.kind {
	case chainWatch:
		c := d.chains[key.target.function]
		delete(d.chains, key.target.function)
		return c != nil && c.shown != nil
	case healthWatch:
		delete(d.health, key.target)
	}
	return false
}

// snapshot puts the answers together. A chain whose targets are not all known yet is left out, or stays as it was. more
// says that targets are not needed any more.
func (d *data) snapshot() (s router.Snapshot, more bool) {
	s = router.Snapshot{Functions: slices.Clone(d.functions), Intentions: slices.Clone(d.intentions),
		Distances: maps.Clone(d.distances)}
	for _, c := range d.chains {
		if c.shown != c.latest && d.complete(c.latest) {
			more = more || c.shown != nil
			c.shown = c.latest
		}
		if c.shown == nil {
			continue
		}
		shown := c.shown.Chain
		shown.Targets = make(map[string]router.Target, len(c.shown.Targets))
		for id, t := range c.shown.Targets {
			if key, ok := c.shown.keys[id]; ok {
				t.Endpoints = slices.Clone(d.health[key])
			}
			shown.Targets[id] = t
		}
		s.Chains = append(s.Chains, shown)
	}
	return s, more
}

func (d *data) complete(c *chain) bool {
	for _, key := range c.keys {
		if _, ok := d.health[key]; !ok {
			return false
		}
	}
	return true
}
