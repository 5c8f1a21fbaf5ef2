package release

import (
	"maps"
	"slices"
)

// Waves orders the functions of a record so that callees come before their callers: each wave holds functions that only
// call functions of earlier waves, or each other in a cycle, and can be run at the same time.
func (r *Record) Waves() [][]string { return waves(Callees(r.Functions)) }

// Callees returns which functions may call which: caller -> callees.
func Callees(functions map[string]Function) map[string][]string {
	callees := map[string][]string{}
	for name, f := range functions {
		callees[name] = f.Callees
	}
	return callees
}

// Callers turns callees around: callee -> callers, sorted.
func Callers(callees map[string][]string) map[string][]string {
	callers := map[string][]string{}
	for _, caller := range slices.Sorted(maps.Keys(callees)) {
		list := slices.Clone(callees[caller])
		slices.Sort(list)
		for _, callee := range slices.Compact(list) {
			callers[callee] = append(callers[callee], caller)
		}
	}
	return callers
}

// waves orders functions so that callees come before their callers: each wave holds functions that only call
// functions of earlier waves, or each other in a cycle, and can be run at the same time. calls maps each function to
// the functions that it calls; those that are not keys of it are left out.
func waves(calls map[string][]string) [][]string {
	depth := map[string]int{}
	for _, component := range components(calls) {
		d := 0
		for _, name := range component {
			for _, callee := range calls[name] {
				if below, done := depth[callee]; done {
					d = max(d, below+1)
				}
			}
		}
		for _, name := range component {
			depth[name] = d
		}
	}
	var out [][]string
	for name, d := range depth {
		for len(out) <= d {
			out = append(out, nil)
		}
		out[d] = append(out[d], name)
	}
	for _, wave := range out {
		slices.Sort(wave)
	}
	return out
}

// components returns the strongly connected components of the graph, callees first (Tarjan's algorithm). A component
// of more than one function is a cycle of calls.
func components(calls map[string][]string) [][]string {
	t := tarjan{calls: calls, index: map[string]int{}, low: map[string]int{}, onStack: map[string]bool{}}
	names := make([]string, 0, len(calls))
	for name := range calls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if t.index[name] == 0 {
			t.visit(name)
		}
	}
	return t.out
}

type tarjan struct {
	calls   map[string][]string
	index   map[string]int // 1-based order of the first visit
	low     map[string]int
	stack   []string
	onStack map[string]bool
	out     [][]string
}

func (t *tarjan) visit(name string) {
	t.index[name] = len(t.index) + 1
	t.low[name] = t.index[name]
	t.stack, t.onStack[name] = append(t.stack, name), true
	for _, callee := range t.calls[name] {
		if _, known := t.calls[callee]; !known {
			continue
		}
		if t.index[callee] == 0 {
			t.visit(callee)
			t.low[name] = min(t.low[name], t.low[callee])
		} else if t.onStack[callee] {
			t.low[name] = min(t.low[name], t.index[callee])
		}
	}
	if t.low[name] != t.index[name] {
		return
	}
	at := slices.Index(t.stack, name)
	component := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	for _, member := range component {
		t.onStack[member] = false
	}
	slices.Sort(component)
	t.out = append(t.out, component)
}
