package callgraph

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestLayout lays out graphs of all kinds: every edge has a way, calls go right except the ones that close a circle, and
// nothing covers anything.
func TestLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		g := &Graph{}
		functions := 1 + n%17
		for i := range functions {
			for j := range functions {
				if rng.IntN(4) == 0 {
					g.Edges = append(g.Edges, Edge{Caller: fmt.Sprintf("f%02d", i), Callee: fmt.Sprintf("f%02d", j), Rate: 1})
				}
			}
		}
		if len(g.Edges) > 0 {
			checkLayout(t, g)
		}
	}
}

func checkLayout(t *testing.T, g *Graph) {
	t.Helper()
	l := newLayout(g)
	if len(l.edges) != len(g.Edges) {
		t.Fatalf("%d edges have a way; want %d", len(l.edges), len(g.Edges))
	}
	for i, r := range l.edges {
		first, last := r.via[0], r.via[len(r.via)-1]
		if r.edge != &g.Edges[i] || first.name != r.edge.Caller || last.name != r.edge.Callee {
			t.Errorf("edge %d goes from %q to %q", i, first.name, last.name)
		}
		if r.edge.Caller == r.edge.Callee && !r.back {
			t.Errorf("%s calls itself and goes right", r.edge.Caller)
		}
		for j := 1; j < len(r.via) && !r.back; j++ {
			if r.via[j].layer != r.via[j-1].layer+1 {
				t.Errorf("edge %d leaps from layer %d to %d", i, r.via[j-1].layer, r.via[j].layer)
			}
		}
	}
	seen := map[string]bool{}
	for _, layer := range l.layers {
		for i, v := range layer {
			if v.y < -1e-9 || i > 0 && v.y < layer[i-1].y+1-1e-9 {
				t.Errorf("%q is at %v, the one before at %v", v.name, v.y, layer[max(0, i-1)].y)
			}
			if v.name != "" && seen[v.name] {
				t.Errorf("%q is there twice", v.name)
			}
			seen[v.name] = true
		}
	}
}

// TestNoCircle: without a circle no edge goes back, wherever the names stand in the alphabet.
func TestNoCircle(t *testing.T) {
	g := &Graph{Edges: []Edge{{Caller: "a", Callee: "z"}, {Caller: "m", Callee: "a"}, {Caller: "m", Callee: "z"},
		{Caller: "z", Callee: "b"}}}
	for _, r := range newLayout(g).edges {
		if r.back {
			t.Errorf("%s → %s goes back", r.edge.Caller, r.edge.Callee)
		}
	}
}
