package interfaces

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a comparison. Two recursive types can meet in as many ways as they have pairs of parts.
const (
	maxPairs       = 1 << 17
	maxFields      = 1 << 20 // that are looked at, however often one is
	maxDifferences = 16
)

// Serves tells whether a caller that was built with one version of an interface can call a function that has another:
// requests that it writes are read as they were meant, and so are the replies. No difference means yes. Of very many
// differences only the first are returned. The rules are in docs/interfaces.md.
func (i *Interface) Serves(builtWith *Interface) []Difference {
	if i.Function != builtWith.Function {
		return []Difference{{Function: i.Function, Side: Request, Caller: fmt.Sprintf("of function %.80q", builtWith.Function),
			Callee: fmt.Sprintf("that of %.80q", i.Function)}}
	}
	if bytes.Equal(i.Encode(), builtWith.Encode()) {
		return nil
	}
	request := comparison{function: i.Function, side: Request, met: map[pair]bool{}}
	request.types(builtWith.Request.view(), i.Request.view(), nil, false)
	reply := comparison{function: i.Function, side: Reply, met: map[pair]bool{}}
	reply.types(i.Reply.view(), builtWith.Reply.view(), nil, false)
	reply.renamed()
	return append(request.found, reply.found...)
}

// view is a type as a place has it: references are resolved, and null is what this place and the type permit together.
type view struct {
	of   *Type
	null bool
}

func (t *Type) view() view {
	if t == nil {
		return view{}
	}
	if t.Kind == KindRef {
		return view{t.target.of, t.Nullable || t.target.null}
	}
	return view{t, t.Nullable}
}

// empties tells whether the type has an empty value that JSON shows as null: a list or a map that was never made.
func (v view) empties() bool {
	return v.of.Kind == KindArray && v.of.Length == nil || v.of.Kind == KindMap || v.of.Format == "base64"
}

// comparison is one of the sides: what a sender writes and a receiver reads.
type comparison struct {
	function string
	side     Side
	met      map[pair]bool
	found    []Difference
	dropped  []extra // fields of the sender that the receiver does not know
	absent   []extra // optional fields of the receiver that the sender does not know
	looked   int     // that were looked at
	gaveUp   bool
}

// pair is a sender's type that meets a receiver's. While a pair is compared it counts as compatible, so that recursive
// types come to an end: they are if nothing on the way speaks against it.
type pair struct {
	sender, receiver view
	optional         bool
}

type extra struct {
	field *Field
	at    *step
}

// types compares what the sender writes at a place with what the receiver reads there. optional: the sender leaves out
// the zero value, or the zero value of what this place is a part of.
func (c *comparison) types(sender, receiver view, at *step, optional bool) {
	p := pair{sender, receiver, optional}
	if c.met[p] || c.gaveUp {
		return
	}
	c.met[p] = true
	switch {
	case sender.of == nil || receiver.of == nil:
		c.differ(at, sender.words(2), receiver.words(2), "")
		return
	case len(c.met) > maxPairs || c.looked > maxFields:
		c.gaveUp = true
		c.differ(at, sender.words(2), receiver.words(2), "these types are too large to be compared")
		return
	}
	s, r := sender.of, receiver.of
	var reason string
	switch {
	case s.Kind == KindAny && r.Kind == KindAny:
		return
	case s.Kind != r.Kind || !formatFits(s.Format, r.Format):
	case sender.null && !receiver.null:
		reason = "null would be read as the zero value"
	case receiver.null && !sender.null && optional:
		reason = "the zero value is left out, and would be read as null"
	case receiver.null && !sender.null && sender.empties():
		reason = "an empty one would be read as null"
	case s.Kind == KindArray && r.Length != nil && (s.Length == nil || *s.Length != *r.Length):
		reason = "elements would be lost or made up"
	case s.Kind == KindArray && s.Length != nil && r.Length == nil && optional:
		reason = "the zero value is left out, and would be read as an empty one"
	case s.Kind == KindMap && !formatFits(s.Keys, r.Keys):
	default:
		c.parts(s, r, at, optional && !sender.null)
		return
	}
	c.differ(at, sender.words(2), receiver.words(2), reason)
}

// parts compares what is in two types of one kind. Where the whole is left out, so is every part.
func (c *comparison) parts(s, r *Type, at *step, optional bool) {
	switch s.Kind {
	case KindArray:
		c.types(s.Items.view(), r.Items.view(), &step{at, "[]"}, optional && s.Length != nil)
	case KindMap:
		c.types(s.Values.view(), r.Values.view(), &step{at, "{}"}, false)
	case KindObject:
		c.fields(s.Fields, r.Fields, r, at, optional)
	}
}

// fields compares the fields of two objects, each in order of name.
func (c *comparison) fields(sender, receiver []Field, r *Type, at *step, optional bool) {
	c.looked += len(sender) + len(receiver)
	for (len(sender) > 0 || len(receiver) > 0) && !c.gaveUp {
		switch {
		case len(receiver) == 0 || len(sender) > 0 && sender[0].Name < receiver[0].Name:
			c.drop(&sender[0], r, at)
			sender = sender[1:]
		case len(sender) == 0 || receiver[0].Name < sender[0].Name:
			c.lack(&receiver[0], at)
			receiver = receiver[1:]
		default:
			s, r := &sender[0], &receiver[0]
			c.types(s.Type.view(), r.Type.view(), &step{at, shown(s.Name)}, s.Optional || optional)
			sender, receiver = sender[1:], receiver[1:]
		}
	}
}

// drop judges a field that the sender writes and the receiver does not know.
func (c *comparison) drop(f *Field, receiver *Type, at *step) {
	place := &step{at, shown(f.Name)}
	if c.side == Request {
		c.differ(place, f.words(), Missing, "what the caller sends there would be ignored")
		return
	}
	if c.looked += len(receiver.Fields); c.looked > maxFields {
		c.gaveUp = true
		c.differ(place, f.words(), Missing, "these types are too large to be compared")
		return
	}
	// encoding/json takes a name that it does not find for one that differs from it in case alone.
	for i := range receiver.Fields {
		if own := receiver.Fields[i].Name; strings.EqualFold(own, f.Name) {
			c.differ(place, f.words(), Missing, "the caller would take it for "+shown(own))
			return
		}
	}
	if len(c.dropped) == 0 { // one is enough to tell
		c.dropped = append(c.dropped, extra{f, place})
	}
}

// lack judges a field that the receiver reads and the sender does not know.
func (c *comparison) lack(f *Field, at *step) {
	if f.Optional {
		if c.side == Reply && len(c.absent) <= maxDifferences {
			c.absent = append(c.absent, extra{f, &step{at, shown(f.Name)}})
		}
		return
	}
	place := &step{at, shown(f.Name)}
	c.differ(place, Missing, f.words(), "it is not optional, and would be read as the zero value")
}

// renamed judges replies in which each of both has fields that the other lacks. If one version only adds to the other,
// all are on one side. Otherwise any two of them may be one field under an old and a new name, which the caller would
// read as left out.
func (c *comparison) renamed() {
	if len(c.dropped) == 0 {
		return
	}
	for _, e := range c.absent {
		c.differ(e.at, Missing, e.field.words(), "it may be the one that the callee calls "+
			strconv.Quote(c.dropped[0].at.String())+", and would be read as left out")
	}
}

// differ keeps a difference. It takes the types as the sender and the receiver have them.
func (c *comparison) differ(at *step, sender, receiver, reason string) {
	d := Difference{Function: c.function, Side: c.side, Path: at.String(), Caller: sender, Callee: receiver, Reason: reason}
	if c.side == Reply {
		d.Caller, d.Callee = receiver, sender
	}
	if len(c.found) == maxDifferences {
		c.gaveUp = true
		return
	}
	c.found = append(c.found, d)
}

// formatFits tells whether all values of the sender's format are values of the receiver's, encoded alike. Only integers
// widen, and keep being signed or not.
func formatFits(sender, receiver string) bool {
	if sender == receiver {
		return true
	}
	signed := func(format string) (kind string, bits int) {
		i := strings.IndexAny(format, "0123456789")
		if i < 0 || !strings.HasSuffix(format[:i], "int") {
			return format, 0
		}
		bits, _ = strconv.Atoi(format[i:])
		return format[:i], bits
	}
	from, small := signed(sender)
	to, large := signed(receiver)
	return from == to && small > 0 && small < large
}
