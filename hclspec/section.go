package hclspec

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// reader collects what is wrong with one file.
type reader struct {
	diags hcl.Diagnostics
	scope *scope // nil: values are literal
}

func (r *reader) errorAt(at hcl.Range, summary, detail string, args ...any) {
	r.diags = append(r.diags, errorAt(at, summary, detail, args...))
}

func (r *reader) warningAt(at hcl.Range, summary, detail string, args ...any) {
	r.diags = append(r.diags, warningAt(at, summary, detail, args...))
}

// section is a block while it is read. Its methods take an attribute's name and set what it is read into; an
// attribute that is absent or wrong leaves that as it is.
type section struct {
	*reader
	kind     string
	name     string    // the label, or ""
	header   hcl.Range // type and label
	label    hcl.Range
	attrs    hclsyntax.Attributes
	children map[string][]*section // by kind, in the order written
}

// open checks what stands in a block of a kind and opens all blocks below.
func (r *reader) open(kind string, body *hclsyntax.Body, header hcl.Range) *section {
	s := &section{reader: r, kind: kind, header: header, attrs: body.Attributes, children: map[string][]*section{}}
	known := shapes[kind]
	for _, a := range body.Attributes {
		if !slices.Contains(known.attrs, a.Name) {
			r.errorAt(a.NameRange, fmt.Sprintf("Unknown attribute %q", a.Name), "%s", known.adviseName(a.Name, false))
		}
	}
	for _, b := range body.Blocks {
		i := slices.Index(known.blockTypes(), b.Type)
		if i < 0 {
			r.errorAt(b.TypeRange, fmt.Sprintf("Unknown block %q", b.Type), "%s", known.adviseName(b.Type, true))
			continue
		}
		s.adopt(known.blocks[i], b)
	}
	return s
}

// adopt opens block b, of a kind that s may hold, as a child of s.
func (s *section) adopt(kind string, b *hclsyntax.Block) {
	known, header := shapes[kind], b.DefRange()
	switch {
	case known.label == "" && len(b.Labels) > 0:
		s.errorAt(b.LabelRanges[0], "Label not expected", "%s has no label: write %s { … }.", known.titled(), b.Type)
		return
	case known.label != "" && len(b.Labels) != 1:
		s.errorAt(header, "One label expected", "%s has its %s as a label: write %s %q { … }.", known.titled(),
			known.label, b.Type, "example")
		return
	case !known.many && len(s.children[kind]) > 0:
		first := s.children[kind][0].header
		s.errorAt(header, fmt.Sprintf("Second %s block", b.Type), "The first one is on line %d. Put everything into one.",
			first.Start.Line)
		return
	}
	child := s.open(kind, b.Body, header)
	if known.label != "" {
		child.name, child.label = b.Labels[0], b.LabelRanges[0]
	}
	s.children[kind] = append(s.children[kind], child)
}

// child returns the only block of a kind that stands at most once, or an empty one, so that it reads as all defaults.
func (s *section) child(kind string) *section {
	if c := s.children[kind]; len(c) > 0 {
		return c[0]
	}
	return &section{reader: s.reader, kind: kind, header: s.header}
}

func (s *section) has(name string) bool { return s.attrs[name] != nil }

// value evaluates an attribute. It is not ok if the attribute is absent, wrong, or depends on a variable that is not
// known now.
func (s *section) value(name string) (v cty.Value, at hcl.Range, ok bool) {
	a := s.attrs[name]
	if a == nil {
		return cty.NilVal, s.header, false
	}
	at = a.Expr.Range()
	v, ok = s.evaluate(a.Expr)
	if ok && v.IsNull() {
		s.errorAt(at, name+" is null", "Write a value, or remove the attribute to get its default.")
		ok = false
	}
	return v, at, ok && v.IsWhollyKnown()
}

// str reads text, all of which people see.
func (s *section) str(name string, to *string) (at hcl.Range, ok bool) {
	var text string
	if at, ok = s.prose(name, &text); ok {
		ok = s.checkVisible(text, at)
	}
	if ok {
		*to = text
	}
	return at, ok
}

// prose reads text whose characters the caller checks.
func (s *section) prose(name string, to *string) (at hcl.Range, ok bool) {
	v, at, ok := s.value(name)
	if ok && v.Type() != cty.String {
		s.errorAt(at, name+" is not text", "Write it in quotes, such as %s = \"…\".", name)
		ok = false
	}
	if ok {
		*to = textOf(v)
	}
	return at, ok
}

// oneOf reads text that has to be one of allowed.
func (s *section) oneOf(name string, to *string, allowed ...string) {
	var text string
	at, ok := s.str(name, &text)
	if !ok {
		return
	}
	if slices.Contains(allowed, text) {
		*to = text
		return
	}
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = strconv.Quote(a)
	}
	hint := ""
	if near := nearest(strings.ToLower(text), allowed); near != "" {
		hint = fmt.Sprintf("Did you mean %q? ", near)
	} else if slices.Contains(allowed, strings.ToLower(text)) {
		hint = fmt.Sprintf("Did you mean %q? ", strings.ToLower(text))
	}
	s.errorAt(at, "Unknown "+name, "%s%s is %s.", hint, name, strings.Join(quoted, " or "))
}

// integer reads a whole number from low to high.
func (s *section) integer(name string, to *int, low, high int) (at hcl.Range, ok bool) {
	v, at, ok := s.value(name)
	if !ok {
		return at, false
	}
	if v.Type() != cty.Number {
		fix := ""
		if v.Type() == cty.String {
			if _, err := strconv.Atoi(v.AsString()); err == nil {
				fix = " Remove the quotes."
			}
		}
		s.errorAt(at, name+" is not a number", "%s is a whole number from %d to %d.%s", name, low, high, fix)
		return at, false
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != big.Exact || n < int64(low) || n > int64(high) {
		s.errorAt(at, name+" is out of range", "%s is a whole number from %d to %d.", name, low, high)
		return at, false
	}
	*to = int(n)
	return at, true
}

// size reads a number of bytes from low to high, written with a unit.
func (s *section) size(name string, to *int64, low, high int64) {
	readUnit(s, name, to, low, high, parseSize, formatSize)
}

// duration reads a time from low to high, written with a unit.
func (s *section) duration(name string, to *time.Duration, low, high time.Duration) {
	readUnit(s, name, to, low, high, parseDuration, formatDuration)
}

func readUnit[T int64 | time.Duration](s *section, name string, to *T, low, high T,
	parse func(string) (T, string, bool), format func(T) string,
) {
	v, at, ok := s.value(name)
	if !ok {
		return
	}
	var text string
	switch v.Type() {
	case cty.String:
		text = v.AsString()
	case cty.Number:
		text = v.AsBigFloat().Text('f', -1)
	}
	n, fix, ok := parse(text)
	switch {
	case !ok || v.Type() != cty.String:
		if fix == "" { // the number 0 is a duration even without a unit
			fix = "Write it in quotes, with a unit."
		}
		s.errorAt(at, name+" has no valid unit", "%s", fix)
	case n < low || n > high:
		s.errorAt(at, name+" is out of range", "%s is from %q to %q.", name, format(low), format(high))
	default:
		*to = n
	}
}

func (s *section) boolean(name string, to *bool) (at hcl.Range, ok bool) {
	v, at, ok := s.value(name)
	if ok && v.Type() != cty.Bool {
		s.errorAt(at, name+" is neither true nor false", "Write true or false, without quotes.")
		ok = false
	}
	if ok {
		*to = v.True()
	}
	return at, ok
}

// element is one string of a list.
type element struct {
	text string
	at   hcl.Range
}

// list reads a list of strings; elements that are none are reported and left out.
func (s *section) list(name string) []element {
	a := s.attrs[name]
	if a == nil {
		return nil
	}
	tuple, ok := a.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		s.errorAt(a.Expr.Range(), name+" is not a list", `Write it in brackets, such as %s = ["…"].`, name)
		return nil
	}
	var elements []element
	for _, e := range tuple.Exprs {
		v, ok := s.evaluate(e)
		switch {
		case !ok || !v.IsWhollyKnown():
		case v.IsNull() || v.Type() != cty.String:
			s.errorAt(e.Range(), "An element of "+name+" is not text", "Write each element in quotes.")
		default:
			if text := textOf(v); s.checkVisible(text, e.Range()) {
				elements = append(elements, element{text, e.Range()})
			}
		}
	}
	return elements
}
