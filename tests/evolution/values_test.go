package evolution

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"time"
)

// fill sets v. full is a value in which nothing is zero or left out, as far as depth goes.
func fill(r *rand.Rand, v reflect.Value, full bool, depth int) {
	t := v.Type()
	if !full && r.IntN(4) == 0 {
		return
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 1, 1+r.IntN(28), 12, 0, 0, r.IntN(1000), time.UTC)))
		return
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))})))
		return
	case reflect.TypeFor[any]():
		v.Set(reflect.ValueOf(pick(r, []any{"text", true, 1.5, []any{"x"}, map[string]any{"a": "b"}})))
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int32, reflect.Int64:
		most := int64(1)<<(t.Bits()-1) - 1
		v.SetInt(pick(r, []int64{most, -most, 1, -1}))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(pick(r, []uint64{math.MaxUint64 >> (64 - t.Bits()), 1}))
	case reflect.Float32:
		v.SetFloat(float64(pick(r, []float32{0.1, 1e30, -3})))
	case reflect.Float64:
		v.SetFloat(pick(r, []float64{0.1, 1e300, -3, math.Pi}))
	case reflect.String:
		v.SetString(pick(r, []string{"text", "<a & b>", "12", "\u2028é", "2026-01-02T03:04:05Z"}))
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(t.Elem()))
			fill(r, v.Elem(), full, depth-1)
			// JSON has one null for a pointer that is nil and one to what is nil.
			switch e := v.Elem(); e.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
				if e.IsNil() {
					v.SetZero()
				}
			default:
				if e.Type() == reflect.TypeFor[time.Time]() && e.IsZero() {
					v.SetZero() // nor has the option omitzero, which asks the time
				}
			}
		}
	case reflect.Slice:
		n := 1 + r.IntN(3)
		if depth <= 0 {
			n = 0
		}
		v.Set(reflect.MakeSlice(t, n, n))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), full, depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		for range min(depth, 2) {
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			fill(r, key, full, depth-1)
			fill(r, value, full, depth-1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			fill(r, v.Field(i), full, depth-1)
		}
	}
}

// judge compares what was sent with what was read, by meaning and not by encoding.
type judge struct {
	request         bool
	dropped, absent bool // fields that the reader, the sender does not have
}

// same tells whether got means what was sent. Lists and maps that are empty or were never made are the same.
func (j *judge) same(sent, got reflect.Value) bool {
	if isNull(sent) {
		return isNull(got)
	}
	if got.Kind() == reflect.Pointer {
		return !got.IsNil() && j.same(reflect.Indirect(sent), got.Elem())
	}
	if sent.Kind() == reflect.Pointer {
		return j.same(sent.Elem(), got)
	}
	if sent.Kind() == reflect.Interface || got.Kind() == reflect.Interface {
		return reflect.DeepEqual(sent.Interface(), got.Interface())
	}
	switch value := sent.Interface().(type) {
	case time.Time:
		other, ok := got.Interface().(time.Time)
		return ok && value.Equal(other)
	case netip.Addr:
		return got.Interface() == any(value)
	}
	switch {
	case sent.CanInt() && got.CanInt():
		return sent.Int() == got.Int()
	case sent.CanInt() && got.CanUint():
		return sent.Int() >= 0 && uint64(sent.Int()) == got.Uint()
	case sent.CanUint() && got.CanInt():
		return got.Int() >= 0 && uint64(got.Int()) == sent.Uint()
	case sent.CanUint() && got.CanUint():
		return sent.Uint() == got.Uint()
	case sent.CanFloat() && got.CanFloat():
		return sent.Float() == got.Float()
	case isList(sent) && isList(got):
		return isBytes(sent) == isBytes(got) && j.sameElements(sent, got)
	case sent.Kind() != got.Kind():
		return false
	}
	switch sent.Kind() {
	case reflect.Bool:
		return sent.Bool() == got.Bool()
	case reflect.String:
		return sent.String() == got.String()
	case reflect.Map:
		return j.sameMaps(sent, got)
	}
	return j.sameFields(sent, got)
}

func isNull(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

func isList(v reflect.Value) bool { return v.Kind() == reflect.Slice || v.Kind() == reflect.Array }

func isBytes(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}

func (j *judge) sameElements(sent, got reflect.Value) bool {
	if sent.Len() != got.Len() {
		return false
	}
	for i := range sent.Len() {
		if !j.same(sent.Index(i), got.Index(i)) {
			return false
		}
	}
	return true
}

func (j *judge) sameMaps(sent, got reflect.Value) bool {
	if sent.Len() != got.Len() || sent.Type().Key().Kind() == reflect.String != (got.Type().Key().Kind() == reflect.String) {
		return false
	}
	for _, key := range sent.MapKeys() {
		if !key.CanConvert(got.Type().Key()) {
			return false
		}
		value := got.MapIndex(key.Convert(got.Type().Key()))
		if !value.IsValid() || !j.same(sent.MapIndex(key), value) {
			return false
		}
	}
	return true
}

func (j *judge) sameFields(sent, got reflect.Value) bool {
	read := map[string]reflect.Value{}
	for i := range got.NumField() {
		name, _ := tagOf(got.Type().Field(i))
		read[name] = got.Field(i)
	}
	for i := range sent.NumField() {
		name, _ := tagOf(sent.Type().Field(i))
		other, known := read[name]
		delete(read, name)
		switch {
		case known && !j.same(sent.Field(i), other):
			return false
		case !known && j.request && !sent.Field(i).IsZero():
			return false // what the caller said was ignored
		case !known && !sent.Field(i).IsZero():
			j.dropped = true
		}
	}
	for i := range got.NumField() {
		name, optional := tagOf(got.Type().Field(i))
		if _, unsent := read[name]; unsent {
			if j.absent = true; !optional || !got.Field(i).IsZero() {
				return false // it is needed, or made up
			}
		}
	}
	return true
}
