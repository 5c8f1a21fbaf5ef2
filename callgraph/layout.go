package callgraph

import (
	"cmp"
	"slices"

	"countersign/telemetry/metric"
)

// layout places the functions of a graph in layers from left to right, so that calls go to the right where there is no
// cycle. It depends on nothing but the graph: the same one always looks the same.
type layout struct {
	layers [][]*vertex
	edges  []route // in the order of the graph's
}

// vertex is a function, or the place where an edge passes a layer.
type vertex struct {
	name     string // "" for a place
	layer    int
	y        float64 // of its middle
	next     []*vertex
	previous []*vertex
}

// route is the way of an edge.
type route struct {
	edge *Edge
	via  []*vertex // from caller to callee; of an edge that goes back, only these two
	back bool      // goes to the same layer or one before
}

func newLayout(g *Graph) *layout {
	functions, names := map[string]*vertex{}, g.names()
	for _, name := range names {
		functions[name] = &vertex{name: name}
	}
	back := backEdges(g, names)
	rank(g, functions, back)
	l := &layout{}
	for _, name := range names {
		l.put(functions[name])
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		from, to := functions[e.Caller], functions[e.Callee]
		if back[i] {
			l.edges = append(l.edges, route{e, []*vertex{from, to}, true})
			continue
		}
		via := []*vertex{from}
		for layer := from.layer + 1; layer < to.layer; layer++ {
			place := &vertex{layer: layer}
			l.put(place)
			via = append(via, place)
		}
		via = append(via, to)
		for i := 1; i < len(via); i++ {
			via[i-1].next, via[i].previous = append(via[i-1].next, via[i]), append(via[i].previous, via[i-1])
		}
		l.edges = append(l.edges, route{e, via, false})
	}
	l.order()
	l.place()
	return l
}

func (l *layout) put(v *vertex) {
	for len(l.layers) <= v.layer {
		l.layers = append(l.layers, nil)
	}
	l.layers[v.layer] = append(l.layers[v.layer], v)
}

// backEdges finds edges without which there is no cycle: those to a function that is being visited, when the graph is
// walked from the functions that nobody calls.
func backEdges(g *Graph, names []string) map[int]bool {
	out, called := map[string][]int{}, map[string]bool{}
	for i, e := range g.Edges {
		out[e.Caller] = append(out[e.Caller], i)
		called[e.Callee] = called[e.Callee] || e.Callee != e.Caller
	}
	const visiting, done = 1, 2
	state, back := map[string]int{}, map[int]bool{}
	var visit func(name string)
	visit = func(name string) {
		state[name] = visiting
		for _, i := range out[name] {
			switch callee := g.Edges[i].Callee; state[callee] {
			case visiting:
				back[i] = true
			case 0:
				visit(callee)
			}
		}
		state[name] = done
	}
	starts := slices.Clone(names)
	slices.SortStableFunc(starts, func(a, b string) int {
		order := func(name string) int {
			switch {
			case name == metric.Outside:
				return 0
			case !called[name]:
				return 1
			}
			return 2
		}
		return cmp.Compare(order(a), order(b))
	})
	for _, name := range starts {
		if state[name] == 0 {
			visit(name)
		}
	}
	return back
}

// rank puts each function one layer after the last of its callers.
func rank(g *Graph, functions map[string]*vertex, back map[int]bool) {
	for changed := true; changed; { // ends: without the back edges there is no cycle
		changed = false
		for i, e := range g.Edges {
			from, to := functions[e.Caller], functions[e.Callee]
			if !back[i] && to.layer <= from.layer {
				to.layer, changed = from.layer+1, true
			}
		}
	}
}

const sweeps = 12

// order sorts each layer so that few edges cross: by the mean place of the neighbours, forth and back.
func (l *layout) order() {
	number := func(layer []*vertex) {
		for i, v := range layer {
			v.y = float64(i)
		}
	}
	for _, layer := range l.layers {
		number(layer)
	}
	sort := func(layer []*vertex, neighbours func(*vertex) []*vertex) {
		means := map[*vertex]float64{}
		for _, v := range layer {
			means[v] = mean(neighbours(v), v.y)
		}
		slices.SortStableFunc(layer, func(a, b *vertex) int { return cmp.Compare(means[a], means[b]) })
		number(layer)
	}
	for range sweeps {
		for _, layer := range l.layers {
			sort(layer, func(v *vertex) []*vertex { return v.previous })
		}
		for _, layer := range slices.Backward(l.layers) {
			sort(layer, func(v *vertex) []*vertex { return v.next })
		}
	}
}

// mean is the mean place of vertices, or otherwise.
func mean(vertices []*vertex, otherwise float64) float64 {
	if len(vertices) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, v := range vertices {
		sum += v.y
	}
	return sum / float64(len(vertices))
}

// place gives each vertex a height near its neighbours' and at least 1 from the next in its layer; the smallest is 0.
func (l *layout) place() {
	neighbours := func(v *vertex) []*vertex { return append(slices.Clone(v.previous), v.next...) }
	for range sweeps {
		for _, layer := range l.layers {
			want := 0.0
			for _, v := range layer {
				v.y = mean(neighbours(v), v.y)
				want += v.y
			}
			got := layer[0].y
			for i := 1; i < len(layer); i++ {
				layer[i].y = max(layer[i].y, layer[i-1].y+1)
				got += layer[i].y
			}
			for _, v := range layer { // what was pushed down moves the whole layer up again
				v.y -= (got - want) / float64(len(layer))
			}
		}
	}
	top := l.layers[0][0].y
	for _, layer := range l.layers {
		top = min(top, layer[0].y)
	}
	for _, layer := range l.layers {
		for _, v := range layer {
			v.y -= top
		}
	}
}

// height returns the largest height of a vertex.
func (l *layout) height() float64 {
	height := 0.0
	for _, layer := range l.layers {
		height = max(height, layer[len(layer)-1].y)
	}
	return height
}
