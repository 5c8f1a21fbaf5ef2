package hclspec

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// ParseFunctions reads a file of function specs; filename only names it in diagnostics. It reports everything that is
// wrong with the file at once. What concerns several files (callees, cycles, bindings) is left to Check.
//
// With errors, the functions are those whose names could be read, with defaults in place of what is wrong: good for
// Check, which then finds more, and for nothing else.
func ParseFunctions(filename string, src []byte) ([]*Function, hcl.Diagnostics) {
	body, diags := parseBody(filename, src)
	if body == nil {
		return nil, finish(diags)
	}
	broken := diags.HasErrors()
	r := &reader{}
	top := r.open("spec file", body, hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos})
	var fns []*Function
	seen := map[string]*Function{}
	for _, s := range top.children["function"] {
		if !r.checkName("function", s.name, s.label) {
			continue
		}
		if first := seen[s.name]; first != nil {
			r.duplicate(s, first.Range)
			continue
		}
		f := s.function()
		f.incomplete = f.incomplete || broken
		seen[f.Name] = f
		fns = append(fns, f)
	}
	if broken { // what else seems wrong may only follow from what the parser left out
		return fns, finish(diags)
	}
	if len(body.Blocks) == 0 {
		r.errorAt(top.header, "No function", "A function spec holds at least one function block: function \"example\" { }")
	}
	return fns, finish(r.diags)
}

// duplicate reports that a named block was there before.
func (r *reader) duplicate(s *section, first hcl.Range) {
	what := blockType(s.kind)
	r.errorAt(s.header, fmt.Sprintf("Second %s %q", what, s.name),
		"The first one is on line %d. Give this one another name, or remove it.", first.Start.Line)
}

// function reads a function block.
func (s *section) function() *Function {
	f := &Function{
		Name: s.name, Target: DefaultTarget(s.name), Runtime: defaultRuntime, Range: s.header,
	}
	if at, ok := s.prose("description", &f.Description); ok {
		s.checkDescription(f.Description, at)
	}
	target := f.Target
	if at, ok := s.str("target", &target); ok && s.checkLabel(target, at) {
		f.Target = target
	}
	s.oneOf("runtime", &f.Runtime, RuntimeWasm, RuntimeNative)
	s.calls(f)
	s.child("io").io(f)
	f.Resources = s.child("resources").resources()
	f.Scaling = s.child("scaling").scaling(f.Resources.Concurrency)
	f.Call = s.child("call").call()
	for _, ingress := range s.children["ingress"] {
		f.Ingress = ingress.ingress()
	}
	return f
}

// DefaultTarget is the target of a function whose spec names none.
func DefaultTarget(function string) string { return "@" + function + "//:" + function }

func (s *section) checkDescription(text string, at hcl.Range) {
	bad := func(c rune) bool { return isInvisible(c) || c == unicode.ReplacementChar }
	if utf8.RuneCountInString(text) > maxDescriptionLength || strings.ContainsFunc(text, bad) {
		s.errorAt(at, "Invalid description", "A description has at most %d characters, and no control characters or others that people do not see. Move "+
			"longer text into the repository's README.", maxDescriptionLength)
	}
}

func (s *section) calls(f *Function) {
	elements := s.list("calls")
	if len(elements) > maxCalls {
		s.errorAt(s.attrs["calls"].NameRange, "Too many calls", "A function may call at most %d others. Split it.", maxCalls)
		return
	}
	seen := map[string]bool{}
	for _, e := range elements {
		switch {
		case !s.checkName("function", e.text, e.at):
		case e.text == f.Name:
			s.errorAt(e.at, "Function calls itself", "A call of itself would wait for a slot that the function itself holds. "+
				"Remove it from calls, and use an ordinary Go function call instead.")
		case seen[e.text]:
			s.errorAt(e.at, fmt.Sprintf("%q is listed twice", e.text), "Remove one.")
		default:
			f.Calls, f.CallRanges = append(f.Calls, e.text), append(f.CallRanges, e.at)
		}
		seen[e.text] = true
	}
}

func (s *section) resources() Resources {
	res := Resources{CPU: defaultCPU, Memory: defaultMemory, Concurrency: defaultConcurrency}
	s.integer("cpu", &res.CPU, minCPU, maxCPU)
	s.size("memory", &res.Memory, minMemory, maxMemory)
	s.integer("concurrency", &res.Concurrency, 1, maxConcurrency)
	return res
}

// scaling reads a scaling block of a function of which concurrency calls run at the same time in an allocation.
func (s *section) scaling(concurrency int) Scaling {
	sc := Scaling{Min: defaultScalingMin}
	_, minOK := s.integer("min", &sc.Min, 1, maxScaling)
	sc.Max = sc.Min
	if at, ok := s.integer("max", &sc.Max, 1, maxScaling); ok && sc.Max < sc.Min {
		if minOK || !s.has("min") {
			s.errorAt(at, "max is less than min", "min is %d: raise max to %d at least, or lower min.", sc.Min, sc.Min)
		}
		sc.Max = sc.Min
	}
	sc.TargetConcurrency = (concurrency + 1) / 2
	at, ok := s.integer("target_concurrency", &sc.TargetConcurrency, 1, maxConcurrency)
	if ok && sc.TargetConcurrency > concurrency {
		s.errorAt(at, "target_concurrency is out of reach", "Only %d calls run at the same time in an allocation "+
			"(resources.concurrency): lower target_concurrency, or raise concurrency.", concurrency)
		sc.TargetConcurrency = concurrency
	}
	return sc
}

func (s *section) call() Call {
	c := Call{Timeout: defaultTimeout, MaxRequest: defaultMaxRequest, MaxResponse: defaultMaxResponse}
	s.duration("timeout", &c.Timeout, minTimeout, MaxTimeout)
	s.boolean("idempotent", &c.Idempotent)
	s.size("max_request", &c.MaxRequest, minMessage, MaxMessage)
	s.size("max_response", &c.MaxResponse, minMessage, MaxMessage)
	return c
}

func (s *section) ingress() *Ingress {
	in := &Ingress{HTTP: true, Auth: defaultAuth, Range: s.header}
	if at, ok := s.boolean("http", &in.HTTP); ok && !in.HTTP {
		s.errorAt(at, "Ingress without a way in", "HTTP is the only way in. Remove the whole ingress block to keep callers "+
			"outside away.")
	}
	s.oneOf("auth", &in.Auth, AuthSigned, AuthJWT)
	return in
}
