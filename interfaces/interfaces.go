package interfaces

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Kinds of a type.
const (
	KindAny     = "any"
	KindArray   = "array"
	KindBoolean = "boolean"
	KindInteger = "integer"
	KindMap     = "map"
	KindNumber  = "number"
	KindObject  = "object"
	KindRef     = "ref"
	KindString  = "string"
)

// MaxShown is the longest encoding of an interface, in bytes, that a caller's host shows to another one. A caller with a longer
// one can call only who has exactly that.
const MaxShown = 64 << 10

// Interface is a function as its callers see it.
type Interface struct {
	Function string `json:"function"`
	Reply    *Type  `json:"reply"`
	Request  *Type  `json:"request"`
}

// Document is the interface document of an artifact: its own interface, and those of the functions whose API packages
// the program contains, as it was built with them.
type Document struct {
	Interface
	Calls map[string]*Interface // by the callee's name
}

// Type is the type of a value, as JSON shows it. The order of the fields is that of their JSON names, which makes the
// encoding canonical. A Type that Parse or ParseInterface returned must not be changed: references in it are resolved.
type Type struct {
	Fields   []Field `json:"fields,omitempty"` // of an object, in order of name
	Format   string  `json:"format,omitempty"` // of an integer, number or string
	Items    *Type   `json:"items,omitempty"`  // of an array
	Keys     string  `json:"keys,omitempty"`   // format of a map's keys, if they are not plain strings
	Kind     string  `json:"kind"`
	Length   *int    `json:"length,omitempty"` // of an array of fixed length
	Nullable bool    `json:"nullable,omitempty"`
	Up       int     `json:"up,omitempty"`     // of a ref: the type that encloses this place by so many levels
	Values   *Type   `json:"values,omitempty"` // of a map

	target level // of a ref
}

// Field is a member of an object.
type Field struct {
	Name     string `json:"name"`
	Optional bool   `json:"optional,omitempty"` // the zero value may be left out
	Type     *Type  `json:"type"`
}

// Encode returns the canonical encoding {"function":…,"reply":…,"request":…}: sorted names, no white space.
func (i *Interface) Encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(i); err != nil {
		panic("interfaces: " + err.Error()) // plain data always encodes; only a cycle made by hand would not
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Digest returns sha256:<hex> of the canonical encoding: the interface digest.
func (i *Interface) Digest() string {
	sum := sha256.Sum256(i.Encode())
	return "sha256:" + hex.EncodeToString(sum[:])
}
