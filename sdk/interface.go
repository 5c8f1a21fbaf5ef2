package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"countersign.internal/sdk/internal/local"
)

// Types of the interface document (docs/sdk.md). Fields are declared in the alphabetical order of their JSON names,
// which makes the encoding canonical: sorted keys, no white space.

type interfaceDocument struct {
	Calls    map[string]calleeShape `json:"calls"` // the functions that this program can call, as it was built with them
	Function string                 `json:"function"`
	Reply    *typeShape             `json:"reply"`
	Request  *typeShape             `json:"request"`
}

type calleeShape struct {
	Reply   *typeShape `json:"reply"`
	Request *typeShape `json:"request"`
}

type interfaceCore struct {
	Function string     `json:"function"`
	Reply    *typeShape `json:"reply"`
	Request  *typeShape `json:"request"`
}

// typeShape is a type as JSON shows it: names of Go types and fields leave no trace.
type typeShape struct {
	Fields   []fieldShape `json:"fields,omitempty"` // of an object, in order of name
	Format   string       `json:"format,omitempty"` // of a string or number: int64, float32, base64, date-time…
	Items    *typeShape   `json:"items,omitempty"`  // of an array
	Keys     string       `json:"keys,omitempty"`   // format of a map's keys, if they are not plain strings
	Kind     string       `json:"kind"`             // any, array, boolean, integer, map, number, object, ref, string
	Length   *int         `json:"length,omitempty"` // of an array of fixed length
	Nullable bool         `json:"nullable,omitempty"`
	Up       int          `json:"up,omitempty"`     // of a ref: the type that encloses this place by so many levels
	Values   *typeShape   `json:"values,omitempty"` // of a map
}

type fieldShape struct {
	Name     string     `json:"name"`
	Optional bool       `json:"optional,omitempty"`
	Type     *typeShape `json:"type"`
}

// describe returns what callers see, {function, reply, request}. The SHA-256 of its encoding is the interface digest.
func (d definition) describe() (*interfaceCore, error) {
	request, err := shapeOf(d.request)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	reply, err := shapeOf(d.reply)
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	return &interfaceCore{Function: d.name, Request: request, Reply: reply}, nil
}

// describeProgram returns the interface document of the function of this program.
func describeProgram() ([]byte, error) {
	name, _, err := served()
	if err != nil {
		return nil, err
	}
	registry.RLock()
	defer registry.RUnlock()
	own, err := registry.definitions[name].describe()
	if err != nil {
		return nil, fmt.Errorf("interface of function %q: %w", name, err)
	}
	doc := interfaceDocument{Calls: map[string]calleeShape{}, Function: name, Request: own.Request, Reply: own.Reply}
	for callee, d := range registry.definitions {
		if callee == name {
			continue
		}
		core, err := d.describe()
		if err != nil {
			return nil, fmt.Errorf("interface of function %q: %w", callee, err)
		}
		doc.Calls[callee] = calleeShape{Reply: core.Reply, Request: core.Request}
	}
	return canonical(doc)
}

func init() {
	local.Describe = func(function string, request, reply reflect.Type) ([]byte, error) {
		core, err := definition{function, request, reply}.describe()
		if err != nil {
			return nil, err
		}
		return canonical(core)
	}
}

func canonical(v any) ([]byte, error) {
	text, err := encode(nil, v)
	return bytes.Clone(text), err
}

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
)
