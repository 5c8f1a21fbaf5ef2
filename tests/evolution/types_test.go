package evolution

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// node is a type in the making: a leaf is any Go type, all others are made of nodes.
type node struct {
	of     string // leaf, pointer, list, array, map, object
	leaf   reflect.Type
	key    reflect.Type // of a map
	length int          // of an array
	inner  *node
	fields []field
}

type field struct {
	name, options string
	of            *node
}

// Recursive types can't be made at run time.
type (
	chain struct {
		Next  *chain `json:"next,omitempty"`
		Value int32  `json:"value"`
	}
	wideChain struct {
		Next  *wideChain `json:"next,omitempty"`
		Value int64      `json:"value"`
	}
	textChain struct {
		Next  *textChain `json:"next,omitempty"`
		Value string     `json:"value"`
	}
	longChain struct { // chain, unrolled
		Next *struct {
			Next  *longChain `json:"next,omitempty"`
			Value int32      `json:"value"`
		} `json:"next,omitempty"`
		Value int32 `json:"value"`
	}
	moreChain struct { // it differs from the second link on
		Next *struct {
			Next  *moreChain `json:"next,omitempty"`
			Value int32      `json:"value"`
			More  string     `json:"more"`
		} `json:"next,omitempty"`
		Value int32 `json:"value"`
	}
	mayChain struct {
		May   string    `json:"may,omitempty"`
		Next  *mayChain `json:"next,omitempty"`
		Value int32     `json:"value"`
	}
	tree struct {
		Kids []tree `json:"kids"`
	}
	grove struct {
		Kids []struct {
			Kids []grove `json:"kids"`
		} `json:"kids"`
	}
)

var (
	leaves = []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int32](), reflect.TypeFor[int64](), reflect.TypeFor[uint8](),
		reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
		reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[time.Time](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[any](),
		reflect.TypeFor[chain](), reflect.TypeFor[wideChain](), reflect.TypeFor[textChain](), reflect.TypeFor[longChain](),
		reflect.TypeFor[moreChain](), reflect.TypeFor[mayChain](), reflect.TypeFor[tree](), reflect.TypeFor[grove](),
	}
	keys    = []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int32](), reflect.TypeFor[int64](), reflect.TypeFor[uint32]()}
	names   = []string{"a", "A", "b", "lang", "Lang", "rate", "k", "\u212a", "next", "value"}
	options = []string{"", "", "", ",omitempty", ",omitempty", ",omitzero", ",string", ",omitempty,string"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// newNode makes a type.
func newNode(r *rand.Rand, depth int) *node {
	if depth > 0 {
		switch r.IntN(8) {
		case 0:
			return &node{of: "pointer", inner: newNode(r, 0)}
		case 1:
			return &node{of: "list", inner: newNode(r, depth-1)}
		case 2:
			return &node{of: "array", length: 1 + r.IntN(3), inner: newNode(r, depth-1)}
		case 3:
			return &node{of: "map", key: pick(r, keys), inner: newNode(r, depth-1)}
		case 4, 5:
			return newObject(r, depth)
		}
	}
	return &node{of: "leaf", leaf: pick(r, leaves)}
}

func newObject(r *rand.Rand, depth int) *node {
	n := &node{of: "object"}
	for range r.IntN(4) {
		n.add(field{pick(r, names), pick(r, options), newNode(r, depth-1)})
	}
	return n
}

// add adds a field, unless there is one of that name.
func (n *node) add(f field) {
	for _, own := range n.fields {
		if own.name == f.name {
			return
		}
	}
	n.fields = append(n.fields, f)
}

// goType makes a Go type of it.
func (n *node) goType() reflect.Type {
	switch n.of {
	case "pointer":
		return reflect.PointerTo(n.inner.goType())
	case "list":
		return reflect.SliceOf(n.inner.goType())
	case "array":
		return reflect.ArrayOf(n.length, n.inner.goType())
	case "map":
		return reflect.MapOf(n.key, n.inner.goType())
	case "object":
		var fields []reflect.StructField
		for i, f := range n.fields {
			fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: f.of.goType(),
				Tag: reflect.StructTag(fmt.Sprintf(`json:"%s%s"`, f.name, f.options))})
		}
		return reflect.StructOf(fields)
	}
	return n.leaf
}

// complete gives every object a field: nothing can be lost with a type that has one value.
func (n *node) complete() {
	if n == nil {
		return
	}
	if n.of == "object" && len(n.fields) == 0 {
		n.add(field{"only", "", &node{of: "leaf", leaf: leaves[0]}})
	}
	n.inner.complete()
	for _, f := range n.fields {
		f.of.complete()
	}
}

func (n *node) clone() *node {
	if n == nil {
		return nil
	}
	c := *n
	c.inner, c.fields = n.inner.clone(), nil
	for _, f := range n.fields {
		c.fields = append(c.fields, field{f.name, f.options, f.of.clone()})
	}
	return &c
}

// edit changes something somewhere.
func (n *node) edit(r *rand.Rand) {
	if n.inner != nil && r.IntN(3) > 0 {
		n.inner.edit(r)
		return
	}
	if n.of == "object" {
		n.editFields(r)
		return
	}
	switch r.IntN(5) {
	case 0:
		if n.of != "pointer" {
			*n = node{of: "pointer", inner: n.clone()}
		} else {
			*n = *n.inner
		}
	case 1:
		*n = node{of: pick(r, []string{"list", "array"}), length: 1 + r.IntN(3), inner: n.clone()}
	case 2:
		if n.of == "map" {
			n.key = pick(r, keys)
		} else if n.of == "list" || n.of == "array" {
			n.of, n.length = pick(r, []string{"list", "array"}), 1+r.IntN(3)
		}
	default:
		*n = node{of: "leaf", leaf: pick(r, leaves)}
	}
}

func (n *node) editFields(r *rand.Rand) {
	if len(n.fields) == 0 || r.IntN(4) == 0 {
		n.add(field{pick(r, names), pick(r, options), newNode(r, 1)})
		return
	}
	i := r.IntN(len(n.fields))
	f := &n.fields[i]
	switch r.IntN(6) {
	case 0:
		n.fields = append(n.fields[:i], n.fields[i+1:]...)
	case 1:
		renamed := *f
		n.fields = append(n.fields[:i:i], n.fields[i+1:]...)
		renamed.name = pick(r, names)
		n.add(renamed)
	case 2:
		f.options = pick(r, options)
	default:
		f.of.edit(r)
	}
}

// options of a struct's field, as encoding/json takes them.
func tagOf(f reflect.StructField) (name string, optional bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, strings.Contains(rest, "omit")
}
