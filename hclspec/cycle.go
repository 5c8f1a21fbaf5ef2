package hclspec

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// cycles reports functions that call each other in a circle, one shortest circle for each group of functions that
// reach each other. Each would wait for the other's slot, and none could be built before the other: an artifact
// records the interfaces of its callees.
func (c *checker) cycles() {
	reported := map[string]bool{}
	for _, f := range c.order {
		if reported[f.Name] {
			continue
		}
		circle, at := c.circle(f)
		if circle == nil {
			continue
		}
		for _, g := range c.order {
			if c.reaches(f, g) && c.reaches(g, f) {
				reported[g.Name] = true
			}
		}
		c.errorAt(at, "Functions call each other in a circle", "%s. Such calls wait for each other. Remove one of them "+
			"from calls, or move what both need into a function of its own.", strings.Join(circle, " → "))
	}
}

// circle returns a shortest way from f back to f and the place of its first call, or nil.
func (c *checker) circle(f *Function) (names []string, at hcl.Range) {
	type step struct {
		before *step
		name   string
	}
	queue := []*step{{name: f.Name}}
	seen := map[string]bool{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, callee := range c.callsOf(s.name) {
			next := &step{s, callee}
			if callee == f.Name {
				for ; next != nil; next = next.before {
					names = append(names, next.name)
				}
				slices.Reverse(names)
				return names, callRange(f, slices.Index(f.Calls, names[1]))
			}
			if !seen[callee] {
				seen[callee] = true
				queue = append(queue, next)
			}
		}
	}
	return nil, at
}

func (c *checker) reaches(from, to *Function) bool {
	queue, seen := []string{from.Name}, map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, callee := range c.callsOf(name) {
			if callee == to.Name {
				return true
			}
			if !seen[callee] {
				seen[callee] = true
				queue = append(queue, callee)
			}
		}
	}
	return false
}

func (c *checker) callsOf(name string) []string {
	if f := c.functions[name]; f != nil {
		return f.Calls
	}
	return nil
}
