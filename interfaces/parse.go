package interfaces

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"countersign"
	"countersign/strictjson"
)

// Bounds of what Parse and ParseInterface read.
const (
	MaxDocument = 1 << 20 // bytes
	MaxTypes    = 1 << 14 // types in one document, those in other types included
	MaxDepth    = 64      // levels of array, map, object and nullable in each other

	maxNesting = 3*MaxDepth + 8 // of JSON: an object's type has a list of fields, which are objects
)

// Parse reads an interface document. It refuses what it does not know: a document that is understood only in part says
// nothing about whether a caller fits.
func Parse(document []byte) (*Document, error) {
	m, err := open(document)
	if err != nil {
		return nil, fmt.Errorf("interface document: %w", err)
	}
	var p parser
	own, calls := p.core(m), m.inner("calls")
	doc := &Document{Calls: map[string]*Interface{}}
	if err := m.end(); err != nil {
		return nil, fmt.Errorf("interface document: %w", err)
	}
	doc.Interface = *own
	for _, callee := range slices.Sorted(maps.Keys(calls)) {
		c := &members{of: fmt.Sprintf("calls of %.80q", callee), object: map[string]any{"function": callee}}
		if callee == own.Function {
			c.fail("a function's own interface is no callee's")
		}
		types, ok := calls[callee].(strictjson.Object)
		if _, named := types["function"]; !ok || named {
			c.fail("it is no object of reply and request")
		}
		maps.Copy(c.object, types)
		doc.Calls[callee] = p.core(c)
		if err := c.end(); err != nil {
			return nil, fmt.Errorf("interface document: %w", err)
		}
	}
	return doc, nil
}

// ParseInterface reads {"function":…,"reply":…,"request":…}, what Encode writes.
func ParseInterface(core []byte) (*Interface, error) {
	m, err := open(core)
	if err != nil {
		return nil, fmt.Errorf("interface: %w", err)
	}
	var p parser
	i := p.core(m)
	if err := m.end(); err != nil {
		return nil, fmt.Errorf("interface: %w", err)
	}
	return i, nil
}

func open(src []byte) (*members, error) {
	if len(src) > MaxDocument {
		return nil, fmt.Errorf("it has %d bytes, and may have %d", len(src), MaxDocument)
	}
	value, err := strictjson.Parse(src, maxNesting)
	if err != nil {
		return nil, err
	}
	object, ok := value.(strictjson.Object)
	if !ok {
		return nil, errors.New("it is no JSON object")
	}
	return &members{of: "the document", object: object}, nil
}

// level is what a ref can point to: a type that encloses it, with its null or without.
type level struct {
	of   *Type
	null bool
}

// parser counts the types of one document.
type parser struct{ types int }

func (p *parser) core(m *members) *Interface {
	i := &Interface{Function: m.text("function")}
	if !countersign.ValidName(i.Function) {
		m.fail("function: %.80q is no name: %s", i.Function, countersign.NameForm)
	}
	i.Request = p.member(m, "request", "request", nil)
	i.Reply = p.member(m, "reply", "reply", nil)
	return i
}

// member reads the type that is a member of m. path holds what encloses it, outermost first.
func (p *parser) member(m *members, name, at string, path []level) *Type {
	object := m.inner(name)
	if m.err != nil {
		return nil
	}
	inner := &members{of: at, object: object}
	t := p.read(inner, at, path)
	if err := inner.end(); err != nil {
		m.err = err
	}
	return t
}

func (p *parser) read(m *members, at string, path []level) *Type {
	t := &Type{Kind: m.text("kind"), Nullable: m.flag("nullable")}
	if p.types++; p.types > MaxTypes {
		m.fail("the document has more than %d types", MaxTypes)
	}
	outer := len(path)
	if t.Nullable {
		path = append(slices.Clip(path), level{t, true})
	}
	switch t.Kind {
	case KindArray, KindMap, KindObject:
		path = append(slices.Clip(path), level{t, false})
	}
	if len(path) > MaxDepth {
		m.fail("types are nested more than %d deep", MaxDepth)
	}
	if m.err != nil {
		return nil
	}
	switch t.Kind {
	case KindAny, KindBoolean:
	case KindInteger, KindNumber, KindString:
		t.Format = m.format("format", formats[t.Kind])
	case KindArray:
		if m.has("length") {
			n := m.number("length")
			t.Length = &n
		}
		t.Items = p.member(m, "items", at+"[]", path)
	case KindMap:
		t.Keys = m.format("keys", formats[keyFormats])
		t.Values = p.member(m, "values", at+"{}", path)
	case KindObject:
		t.Fields = p.fields(m, at, path)
	case KindRef:
		t.Up = m.number("up")
		if t.Up <= len(path)-outer || t.Up > len(path) {
			m.fail("up: %d levels above there is nothing that encloses this place", t.Up)
			return nil
		}
		t.target = path[len(path)-t.Up]
	default:
		m.fail("kind: %.80q is none that this version knows", t.Kind)
	}
	return t
}

func (p *parser) fields(m *members, at string, path []level) []Field {
	var fields []Field
	for _, value := range m.list("fields") {
		object, ok := value.(strictjson.Object)
		inner := &members{of: "a field of " + at, object: object}
		if !ok {
			inner.fail("it is no object")
		}
		f := Field{Name: inner.text("name"), Optional: inner.flag("optional")}
		if n := len(fields); n > 0 && fields[n-1].Name >= f.Name {
			inner.fail("%.80q does not come after %.80q: fields are in order of name", f.Name, fields[n-1].Name)
		}
		f.Type = p.member(inner, "type", at+"."+shown(f.Name), path)
		if err := inner.end(); err != nil {
			m.err = err
			return nil
		}
		fields = append(fields, f)
	}
	return fields
}

// keyFormats is the entry of formats for the keys of maps.
const keyFormats = "keys"

// formats lists the formats of each kind; "" if there may be none.
var formats = func() map[string][]string {
	integers := []string{"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
	text := []string{"", "base64", "date-time", "text", "quoted boolean", "quoted float32", "quoted float64", "quoted number",
		"quoted string"}
	for _, f := range integers {
		text = append(text, "quoted "+f)
	}
	return map[string][]string{
		KindInteger: integers, KindNumber: {"", "float32", "float64"}, KindString: text,
		keyFormats: append([]string{"", "text"}, integers...),
	}
}()

// members reads the members of an object. The first error stays; a member that nobody asked for is one.
type members struct {
	of     string // whose members
	object map[string]any
	read   int
	err    error
}

func (m *members) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%s: %w", m.of, fmt.Errorf(format, args...))
	}
}

func (m *members) has(name string) bool { _, ok := m.object[name]; return ok }

func (m *members) take(name string) any {
	if m.has(name) {
		m.read++
	}
	return m.object[name]
}

func (m *members) text(name string) string {
	s, ok := m.take(name).(string)
	if !ok {
		m.fail("%s: a text is wanted", name)
	}
	return s
}

func (m *members) format(name string, known []string) string {
	format := ""
	if m.has(name) {
		format = m.text(name)
	}
	if !slices.Contains(known, format) {
		m.fail("%s: %.80q is none that this version knows", name, format)
	}
	return format
}

func (m *members) flag(name string) bool {
	value := m.take(name)
	b, ok := value.(bool)
	if value != nil && !ok || value == nil && m.has(name) {
		m.fail("%s: true or false is wanted", name)
	}
	return b
}

func (m *members) number(name string) int {
	number, _ := m.take(name).(json.Number)
	n, err := strconv.Atoi(string(number))
	if err != nil || n < 0 {
		m.fail("%s: a whole number is wanted", name)
	}
	return n
}

func (m *members) inner(name string) strictjson.Object {
	object, ok := m.take(name).(strictjson.Object)
	if !ok {
		m.fail("%s: an object is wanted", name)
	}
	return object
}

func (m *members) list(name string) []any {
	if !m.has(name) {
		return nil
	}
	list, ok := m.take(name).([]any)
	if !ok {
		m.fail("%s: a list is wanted", name)
	}
	return list
}

// end returns the first error, and one if members are left.
func (m *members) end() error {
	if m.err == nil && m.read != len(m.object) {
		m.fail("it has a member that this version does not know among %.200q", slices.Sorted(maps.Keys(m.object)))
	}
	return m.err
}
