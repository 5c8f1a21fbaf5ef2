package interfaces

import (
	"fmt"
	"strings"
)

// Side is a direction of a call.
type Side string

// Sides of an interface.
const (
	Request Side = "request" // the caller writes it, the callee reads it
	Reply   Side = "reply"   // the callee writes it, the caller reads it
)

// Missing is what a Difference holds for the side that does not have the field.
const Missing = ""

// Difference is one place at which a caller and a callee do not understand each other.
type Difference struct {
	Function string // the callee
	Side     Side
	Path     string // of the field: lines[].price; "" is the whole request or reply
	Caller   string // the type that the caller was built with, such as "integer int64", or Missing
	Callee   string // the type that the callee has, or Missing
	Reason   string // what would go wrong, where the types do not show it; or ""
}

// String tells it without naming who the two are.
func (d Difference) String() string { return d.Tell("the caller", d.Function, "the callee") }

// Tell is a sentence about a caller, its callee's name, and the callee as it is, such as
// quote@3f2a91c was built with tax's reply field "rate" integer int64, but tax@99aa00b has string.
func (d Difference) Tell(caller, function, callee string) string {
	place := fmt.Sprintf("%s's %s", function, d.Side)
	var text string
	switch {
	case d.Path == "":
		text = fmt.Sprintf("%s was built with %s %s, but %s has %s", caller, place, d.Caller, callee, d.Callee)
	case d.Caller == Missing:
		text = fmt.Sprintf("%s was built with %s without field %q, but %s has it: %s", caller, place, d.Path, callee, d.Callee)
	case d.Callee == Missing:
		text = fmt.Sprintf("%s was built with %s field %q %s, but %s has no such field", caller, place, d.Path, d.Caller, callee)
	default:
		text = fmt.Sprintf("%s was built with %s field %q %s, but %s has %s", caller, place, d.Path, d.Caller, callee, d.Callee)
	}
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	return text
}

// step is a part of a path. Paths are put together only when there is something to say about them.
type step struct {
	outer *step
	text  string
}

// longestPath bounds the steps of a path that are shown.
const longestPath = 24

func (s *step) String() string {
	var parts []string
	for ; s != nil; s = s.outer {
		if len(parts) == longestPath {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, s.text)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		if b.Len() > 0 && !strings.HasPrefix(parts[i], "[") && !strings.HasPrefix(parts[i], "{") {
			b.WriteByte('.')
		}
		b.WriteString(parts[i])
	}
	return b.String()
}

// shown is a field's name for people: quoted, and cut, if it has anything in it that could be taken for something else.
func shown(name string) string {
	plain := func(c rune) bool {
		return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	if name != "" && len(name) <= 80 && strings.IndexFunc(name, func(c rune) bool { return !plain(c) }) < 0 {
		return name
	}
	return fmt.Sprintf("%.80q", name)
}

// words describes a type in a few words.
func (v view) words(deep int) string {
	t := v.of
	if t == nil {
		return "an unknown type"
	}
	text := strings.TrimSpace(t.Kind + " " + t.Format)
	inner := func(of *Type) string {
		if deep == 0 {
			return "…"
		}
		return of.view().words(deep - 1)
	}
	switch t.Kind {
	case KindArray:
		text = "array of "
		if t.Length != nil {
			text += fmt.Sprintf("%d ", *t.Length)
		}
		text += inner(t.Items)
	case KindMap:
		text = "map "
		if t.Keys != "" {
			text += "from " + t.Keys + " "
		}
		text += "of " + inner(t.Values)
	}
	if v.null {
		return "nullable " + text
	}
	return text
}

// words describes a field's type in a few words.
func (f *Field) words() string {
	text := f.Type.view().words(2)
	if f.Optional {
		return "optional " + text
	}
	return text
}
