package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Decode reads one JSON value into what a pointer points to. Where that is a struct, an object may have the struct's
// members and no others. A null stands only for what can be nil.
func Decode(src []byte, into any) error { return decode(src, into, false) }

// DecodeOpen is Decode for documents that others may add members to: a name that is not the struct's is passed over. One
// that differs from the struct's in case alone is not: other readers would take it for the member.
func DecodeOpen(src []byte, into any) error { return decode(src, into, true) }

func decode(src []byte, into any, open bool) error {
	value, err := Parse(src, MaxDepth)
	if err != nil {
		return err
	}
	if err := (shape{open}).check(value, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(src))
	if !open {
		d.DisallowUnknownFields()
	}
	return d.Decode(into)
}

// shape compares JSON with Go types as encoding/json will fill them.
type shape struct{ open bool }

var (
	ownJSON = reflect.TypeFor[json.Unmarshaler]()
	ownText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (s shape) check(value any, t reflect.Type) error {
	if p := reflect.PointerTo(t); p.Implements(ownJSON) || p.Implements(ownText) {
		return nil // the type reads it by itself
	}
	kind := t.Kind()
	if value == nil {
		switch kind {
		case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
			return nil
		}
		return fmt.Errorf("it holds null where %s is wanted", kind)
	}
	switch kind {
	case reflect.Pointer:
		return s.check(value, t.Elem())
	case reflect.Struct:
		object, ok := value.(Object)
		if !ok {
			return fmt.Errorf("it holds a %T where an object is wanted", value)
		}
		return s.members(object, t)
	case reflect.Map:
		object, _ := value.(Object)
		for name, member := range object {
			if n, err := strconv.ParseInt(name, 10, 64); t.Key().Kind() == reflect.Int && (err != nil || strconv.FormatInt(n, 10) != name) {
				return fmt.Errorf("it has the name %.80q where a whole number in its usual form is wanted", name)
			}
			if err := s.check(member, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		list, _ := value.([]any)
		if kind == reflect.Array && len(list) != t.Len() {
			return fmt.Errorf("it holds %d elements where %d are wanted", len(list), t.Len())
		}
		for _, element := range list {
			if err := s.check(element, t.Elem()); err != nil {
				return err
			}
		}
	}
	return nil
}

// members checks the names of an object against the fields of a struct.
func (s shape) members(object Object, t reflect.Type) error {
	known := map[string]reflect.Type{}
	fields(t, known)
	for name, value := range object {
		field, ok := known[name]
		if ok {
			if err := s.check(value, field); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		for own := range known {
			if strings.EqualFold(name, own) {
				return fmt.Errorf("it has the name %.80q, which is not %q and could be taken for it", name, own)
			}
		}
		if !s.open {
			return fmt.Errorf("it has the unknown field %.80q", name)
		}
	}
	return nil
}

// fields collects the members of a struct, those of embedded structs included.
func fields(t reflect.Type, known map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			if embedded.Kind() == reflect.Struct {
				fields(embedded, known)
				continue
			}
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
}
