package evolution

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// wire is a value in a binary encoding of the strict kind: what is no text does not look like text, signed integers are
// not encoded like others, nothing tells null from what can't be null, names match exactly.
type wire struct {
	kind   string
	value  any
	list   []wire
	keys   []wire
	fields map[string]wire
}

var errWire = errors.New("the wire has another type")

func encode(v reflect.Value) wire {
	switch value := v.Interface().(type) {
	case time.Time:
		return wire{kind: "time", value: value}
	case netip.Addr:
		return wire{kind: "own", value: value}
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return wire{kind: "null"}
		}
		text, _ := json.Marshal(v.Interface())
		return wire{kind: "any", value: text}
	case reflect.Pointer:
		if v.IsNil() {
			return wire{kind: "null"}
		}
		return encode(v.Elem())
	case reflect.Map:
		w := wire{kind: "map"}
		for _, key := range v.MapKeys() {
			w.keys, w.list = append(w.keys, encode(key)), append(w.list, encode(v.MapIndex(key)))
		}
		return w
	case reflect.Struct:
		w := wire{kind: "object", fields: map[string]wire{}}
		for i := range v.NumField() {
			name, optional := tagOf(v.Type().Field(i))
			if !optional || !v.Field(i).IsZero() {
				w.fields[name] = encode(v.Field(i))
			}
		}
		return w
	case reflect.Slice, reflect.Array:
		if isBytes(v) {
			return wire{kind: "bytes", value: v.Bytes()}
		}
		w := wire{kind: "list"}
		for i := range v.Len() {
			w.list = append(w.list, encode(v.Index(i)))
		}
		return w
	}
	return scalar(v)
}

func scalar(v reflect.Value) wire {
	switch {
	case v.CanInt():
		return wire{kind: "signed", value: v.Int()}
	case v.CanUint():
		return wire{kind: "unsigned", value: v.Uint()}
	}
	return wire{kind: v.Kind().String(), value: v.Interface()} // bool, string, float32, float64
}

func (w wire) decode(v reflect.Value) error {
	want := func(kind string) error {
		if w.kind != kind {
			return fmt.Errorf("%w: %s, not %s", errWire, w.kind, kind)
		}
		return nil
	}
	set := func(kind string) error {
		if err := want(kind); err != nil {
			return err
		}
		v.Set(reflect.ValueOf(w.value))
		return nil
	}
	switch v.Interface().(type) {
	case time.Time:
		return set("time")
	case netip.Addr:
		return set("own")
	}
	switch v.Kind() {
	case reflect.Interface:
		if w.kind == "null" {
			return nil
		}
		if err := want("any"); err != nil {
			return err
		}
		return json.Unmarshal(w.value.([]byte), v.Addr().Interface())
	case reflect.Pointer:
		if w.kind == "null" {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return w.decode(v.Elem())
	case reflect.Map:
		return errors.Join(want("map"), w.decodeMap(v))
	case reflect.Struct:
		return errors.Join(want("object"), w.decodeFields(v))
	case reflect.Slice, reflect.Array:
		if isBytes(v) {
			return set("bytes")
		}
		return errors.Join(want("list"), w.decodeList(v))
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64:
		return set(v.Kind().String())
	}
	n, signed := w.value.(int64)
	u, unsigned := w.value.(uint64)
	switch {
	case signed && v.CanInt() && !v.OverflowInt(n):
		v.SetInt(n)
	case unsigned && v.CanUint() && !v.OverflowUint(u):
		v.SetUint(u)
	default:
		return fmt.Errorf("%w: %s %v for %v", errWire, w.kind, w.value, v.Type())
	}
	return nil
}

func (w wire) decodeList(v reflect.Value) error {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(w.list), len(w.list)))
	} else if v.Len() != len(w.list) {
		return errWire
	}
	for i := range w.list {
		if err := w.list[i].decode(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (w wire) decodeMap(v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	for i := range w.keys {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := errors.Join(w.keys[i].decode(key), w.list[i].decode(value)); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

func (w wire) decodeFields(v reflect.Value) error {
	for i := range v.NumField() {
		name, _ := tagOf(v.Type().Field(i))
		if inner, ok := w.fields[name]; ok {
			if err := inner.decode(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// throughJSON sends a value as the SDK does.
func throughJSON(sent reflect.Value, into reflect.Value) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(sent.Interface()); err != nil {
		return err
	}
	return json.Unmarshal([]byte(b.String()), into.Addr().Interface())
}

func throughWire(sent reflect.Value, into reflect.Value) error { return encode(sent).decode(into) }

var codecs = map[string]func(sent, into reflect.Value) error{"JSON": throughJSON, "binary": throughWire}

var codecNames = slices.Sorted(func(yield func(string) bool) {
	for name := range codecs {
		if !yield(name) {
			return
		}
	}
})
