package hclspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Check reports what is wrong between functions, and between functions and the environment that they are to run in;
// what is wrong inside of one file the parsers have reported.
//
// With an environment, fns are a whole application: a call to a function that is neither among fns nor elsewhere (such
// as the names of functions that run already) is an error. With a nil environment, fns may be a part, such as one
// team's: the call is a warning, and bindings are not checked.
func Check(fns []*Function, env *Environment, elsewhere ...string) hcl.Diagnostics {
	c := &checker{env: env, functions: map[string]*Function{}, elsewhere: elsewhere}
	for _, f := range fns {
		if first := c.functions[f.Name]; first != nil {
			c.errorAt(f.Range, fmt.Sprintf("Second function %q", f.Name),
				"The first one is in %s, line %d. Names are shared by all teams: give this one another, or remove it.",
				first.Range.Filename, first.Range.Start.Line)
			continue
		}
		c.functions[f.Name] = f
		c.order = append(c.order, f)
	}
	c.callees()
	c.cycles()
	if env != nil {
		c.unbound()
		c.unknownBindings()
		c.sharedPaths()
	}
	return finish(c.diags)
}

// checker holds what Check works on.
type checker struct {
	reader
	env       *Environment
	functions map[string]*Function
	order     []*Function // without duplicates
	elsewhere []string
}

// names returns the names of all functions there are.
func (c *checker) names() []string {
	names := slices.Clone(c.elsewhere)
	for _, f := range c.order {
		names = append(names, f.Name)
	}
	return names
}

// callRange returns the place of the i-th callee of f.
func callRange(f *Function, i int) hcl.Range {
	if i < len(f.CallRanges) {
		return f.CallRanges[i]
	}
	return f.Range
}

// callees checks that each function that another one calls exists.
func (c *checker) callees() {
	for _, f := range c.order {
		for i, callee := range f.Calls {
			if c.functions[callee] != nil || slices.Contains(c.elsewhere, callee) {
				continue
			}
			near := nearest(callee, c.names())
			if near == f.Name {
				near = ""
			} else if near != "" {
				near = fmt.Sprintf("Did you mean %q? ", near)
			}
			if c.env == nil {
				c.warningAt(callRange(f, i), fmt.Sprintf("Function %q is not here", callee),
					"%sIf another repository provides it, all is well: a deploy checks it against all specs.", near)
				continue
			}
			c.errorAt(callRange(f, i), fmt.Sprintf("Unknown function %q", callee),
				"%sNo repository provides it: add one that does to repos.bzl, or remove it from calls.", near)
		}
	}
}

// unbound checks that each I/O tag is bound to something.
func (c *checker) unbound() {
	for _, f := range c.order {
		for _, s := range f.Storage {
			bound := slices.ContainsFunc(c.env.Storage, func(b StorageBinding) bool {
				return b.Function == f.Name && b.Tag == s.Tag
			})
			if !bound {
				c.reportUnbound(f, "storage", s.Tag, s.Range, fmt.Sprintf("path = \"/srv/%s/%s\"", f.Name, s.Tag))
			}
		}
		for _, n := range f.Network {
			bound := slices.ContainsFunc(c.env.Network, func(b NetworkBinding) bool {
				return b.Function == f.Name && b.Tag == n.Tag
			})
			if !bound {
				c.reportUnbound(f, "network", n.Tag, n.Range, "addresses = [\"host.example:443\"]")
			}
			for _, b := range c.env.Network {
				if n.Listen && b.Function == f.Name && b.Tag == n.Tag && (len(b.Addresses) > 1 || b.Service != "" || b.Unix != "") {
					c.errorAt(b.Range, fmt.Sprintf("Tag %q listens", n.Tag), "Bind it to the one address of the node at which it is to "+
						"accept connections: addresses = [\"0.0.0.0:5000\"].")
				}
			}
		}
	}
}

func (c *checker) reportUnbound(f *Function, kind, tag string, at hcl.Range, example string) {
	c.errorAt(at, fmt.Sprintf("Tag %q has no binding", tag),
		"Environment %q does not bind it. Add to its file:\n\nbind %q {\n  %s %q {\n    %s\n  }\n}",
		c.env.Name, f.Name, kind, tag, example)
}

// unknownBindings checks that each binding is for a tag that exists.
func (c *checker) unknownBindings() {
	for _, b := range c.env.binds {
		if c.functions[b.function] != nil || slices.Contains(c.elsewhere, b.function) {
			continue
		}
		hint := ""
		if near := nearest(b.function, c.names()); near != "" {
			hint = fmt.Sprintf("Did you mean %q? ", near)
		}
		c.warningAt(b.labels, fmt.Sprintf("Binding for unknown function %q", b.function),
			"%sNo given spec declares it. Remove the block if the function is gone.", hint)
	}
	for _, b := range c.env.Storage {
		c.checkBinding(b.Function, "storage", b.Tag, b.Range)
	}
	for _, b := range c.env.Network {
		c.checkBinding(b.Function, "network", b.Tag, b.Range)
	}
}

func (c *checker) checkBinding(function, kind, tag string, at hcl.Range) {
	f := c.functions[function]
	if f == nil || f.incomplete {
		return
	}
	var storage, network []string
	for _, s := range f.Storage {
		storage = append(storage, s.Tag)
	}
	for _, n := range f.Network {
		network = append(network, n.Tag)
	}
	same, other, otherKind := storage, network, "network"
	if kind == "network" {
		same, other, otherKind = network, storage, "storage"
	}
	if slices.Contains(same, tag) {
		return
	}
	advice := fmt.Sprintf("The spec of function %q declares no %s tag.", function, kind)
	if near := nearest(tag, same); near != "" {
		advice = fmt.Sprintf("Did you mean %q?", near)
	} else if slices.Contains(other, tag) {
		advice = fmt.Sprintf("It is a %s tag: write %s %q { … }.", otherKind, otherKind, tag)
	} else if len(same) > 0 {
		advice = fmt.Sprintf("The spec of function %q declares the %s tags %s.", function, kind, strings.Join(same, ", "))
	}
	c.errorAt(at, fmt.Sprintf("Binding for unknown tag %q", tag), "%s Declare the tag in the spec, or remove the binding.",
		advice)
}

// sharedPaths warns of a directory inside of another one: a function would see data that is not its own. Two
// functions that are bound to the same directory share it, which is what its author meant.
func (c *checker) sharedPaths() {
	all := c.env.Storage
	for i, b := range all {
		for _, o := range all[:i] {
			if b.Path == "" || o.Path == "" || b.Path == o.Path && b.Function != o.Function ||
				!within(b.Path, o.Path) && !within(o.Path, b.Path) {
				continue
			}
			c.warningAt(b.Range, "Directories overlap", "%q of function %q and %q of function %q (line %d) are bound to "+
				"overlapping directories: what one writes changes the other. Bind each to a directory of its own.",
				b.Tag, b.Function, o.Tag, o.Function, o.Range.Start.Line)
		}
	}
}
