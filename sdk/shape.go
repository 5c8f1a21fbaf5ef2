package sdk

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

var (
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType        = reflect.TypeFor[time.Time]()
	numberType      = reflect.TypeFor[json.Number]()
)

// integerFormats is by kind; int and uint are 64 bits on both of the platforms that functions run on.
var integerFormats = map[reflect.Kind]string{
	reflect.Int: "int64", reflect.Int8: "int8", reflect.Int16: "int16", reflect.Int32: "int32", reflect.Int64: "int64",
	reflect.Uint: "uint64", reflect.Uint8: "uint8", reflect.Uint16: "uint16", reflect.Uint32: "uint32",
	reflect.Uint64: "uint64",
}

// shapeOf describes how encoding/json shows a type.
func shapeOf(t reflect.Type) (*typeShape, error) { return describeType(t, nil) }

// describeType keeps in path the types that enclose t, outermost first. A type that encloses itself becomes a
// reference by distance, so that recursion ends and no type name enters the document.
func describeType(t reflect.Type, path []reflect.Type) (*typeShape, error) {
	if i := slices.Index(path, t); i >= 0 {
		return &typeShape{Kind: "ref", Up: len(path) - i}, nil
	}
	if shape := opaqueShape(t); shape != nil {
		return shape, nil
	}
	if format, ok := integerFormats[t.Kind()]; ok {
		return &typeShape{Kind: "integer", Format: format}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &typeShape{Kind: "boolean"}, nil
	case reflect.Float32:
		return &typeShape{Kind: "number", Format: "float32"}, nil
	case reflect.Float64:
		return &typeShape{Kind: "number", Format: "float64"}, nil
	case reflect.String:
		return &typeShape{Kind: "string"}, nil
	case reflect.Interface:
		return &typeShape{Kind: "any"}, nil
	}
	path = append(slices.Clip(path), t)
	switch t.Kind() {
	case reflect.Pointer:
		return describePointer(t, path)
	case reflect.Slice, reflect.Array:
		return describeList(t, path)
	case reflect.Map:
		return describeMap(t, path)
	case reflect.Struct:
		return describeStruct(t, path)
	}
	return nil, fmt.Errorf("JSON can't carry the type %v", t)
}

// opaqueShape covers the types that encode themselves; it returns nil for all others.
func opaqueShape(t reflect.Type) *typeShape {
	either := func(a, b reflect.Type) bool {
		return t.Implements(a) || reflect.PointerTo(t).Implements(b)
	}
	switch {
	case t == timeType:
		return &typeShape{Kind: "string", Format: "date-time"}
	case t == numberType:
		return &typeShape{Kind: "number"}
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		return nil
	case either(jsonMarshaler, jsonUnmarshaler):
		return &typeShape{Kind: "any"}
	case either(textMarshaler, textUnmarshaler):
		return &typeShape{Kind: "string", Format: "text"}
	}
	return nil
}

// describePointer takes pointers to pointers for one: JSON has one null.
func describePointer(t reflect.Type, path []reflect.Type) (*typeShape, error) {
	elem := t.Elem()
	for n := 0; elem.Kind() == reflect.Pointer; n++ {
		if elem = elem.Elem(); n > 100 {
			return nil, fmt.Errorf("JSON can't carry the type %v: it points to itself", t)
		}
	}
	shape, err := describeType(elem, path)
	if err != nil {
		return nil, err
	}
	shape.Nullable = true
	return shape, nil
}

func describeList(t reflect.Type, path []reflect.Type) (*typeShape, error) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && opaqueShape(t.Elem()) == nil {
		return &typeShape{Kind: "string", Format: "base64"}, nil
	}
	items, err := describeType(t.Elem(), path)
	if err != nil {
		return nil, err
	}
	shape := &typeShape{Kind: "array", Items: items}
	if t.Kind() == reflect.Array {
		length := t.Len()
		shape.Length = &length
	}
	return shape, nil
}

func describeMap(t reflect.Type, path []reflect.Type) (*typeShape, error) {
	key := t.Key()
	keys := integerFormats[key.Kind()]
	switch {
	case key.Implements(textMarshaler) || reflect.PointerTo(key).Implements(textUnmarshaler):
		keys = "text"
	case key.Kind() != reflect.String && keys == "":
		return nil, fmt.Errorf("JSON can't carry the key type of %v", t)
	}
	values, err := describeType(t.Elem(), path)
	if err != nil {
		return nil, err
	}
	return &typeShape{Kind: "map", Keys: keys, Values: values}, nil
}

func describeStruct(t reflect.Type, path []reflect.Type) (*typeShape, error) {
	shape := &typeShape{Kind: "object"}
	for _, c := range visibleFields(t) {
		inner, err := describeType(c.field.Type, path)
		if err != nil {
			return nil, fmt.Errorf("field %s of %v: %w", c.field.Name, t, err)
		}
		if c.has("string") {
			inner = quoted(c.field.Type, inner)
		}
		optional := c.has("omitempty") || c.has("omitzero") || c.absent
		shape.Fields = append(shape.Fields, fieldShape{Name: c.name, Optional: optional, Type: inner})
	}
	return shape, nil
}

// quoted is the shape of a field with the option ",string": encoding/json puts scalars, and unnamed pointers to them,
// between quotation marks, and leaves all others as they are.
func quoted(t reflect.Type, shape *typeShape) *typeShape {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer || t != numberType && opaqueShape(t) != nil {
		return shape
	}
	switch shape.Kind {
	case "integer", "number", "boolean", "string":
	default:
		return shape
	}
	if shape.Format == "base64" {
		return shape
	}
	of := shape.Format
	if of == "" {
		of = shape.Kind
	}
	return &typeShape{Kind: "string", Format: "quoted " + of, Nullable: shape.Nullable}
}

// candidate is a struct field that JSON may show.
type candidate struct {
	name    string
	tagged  bool // the name comes from a tag
	options []string
	field   reflect.StructField
	depth   int  // levels of embedding
	absent  bool // it is left out where a pointer to an embedded struct is nil
}

func (c candidate) has(option string) bool { return slices.Contains(c.options, option) }

// visibleFields returns the fields that encoding/json shows, in order of their JSON names: of several with one name
// the least deeply embedded wins, then the one with a tag; if that leaves several, there is none.
func visibleFields(t reflect.Type) []candidate {
	all := candidates(t, 0, false, map[reflect.Type]bool{})
	slices.SortStableFunc(all, func(a, b candidate) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		if a.depth != b.depth {
			return a.depth - b.depth
		}
		return rank(a) - rank(b)
	})
	var visible []candidate
	for i := 0; i < len(all); {
		next := i + 1
		for next < len(all) && all[next].name == all[i].name {
			next++
		}
		if next == i+1 || all[i+1].depth != all[i].depth || rank(all[i+1]) != rank(all[i]) {
			visible = append(visible, all[i])
		}
		i = next
	}
	return visible
}

func rank(c candidate) int {
	if c.tagged {
		return 0
	}
	return 1
}

// candidates collects the fields of t and of the structs embedded in it. seen holds the types that enclose t.
func candidates(t reflect.Type, depth int, absent bool, seen map[reflect.Type]bool) []candidate {
	if seen[t] {
		return nil
	}
	seen[t] = true
	defer delete(seen, t)
	var all []candidate
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" {
			continue
		}
		if !validTag(name) {
			name = ""
		}
		embedded := f.Type
		if f.Anonymous && embedded.Kind() == reflect.Pointer && f.Type.Name() == "" {
			embedded = embedded.Elem()
		}
		if f.Anonymous && name == "" && embedded.Kind() == reflect.Struct && opaqueShape(embedded) == nil {
			all = append(all, candidates(embedded, depth+1, absent || embedded != f.Type, seen)...)
			continue
		}
		if !f.IsExported() {
			continue
		}
		c := candidate{name: name, tagged: name != "", options: strings.Split(options, ","), field: f, depth: depth,
			absent: absent}
		if name == "" {
			c.name = f.Name
		}
		all = append(all, c)
	}
	return all
}

// validTag is encoding/json's rule for the names that a tag can give; with any other it goes by the field's name.
func validTag(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}
