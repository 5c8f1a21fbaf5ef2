package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxDepth bounds the nesting of what Decode and DecodeOpen read.
const MaxDepth = 64

// Object is a JSON object. Its names are as they were written, escapes resolved.
type Object map[string]any

// Parse reads exactly one JSON value (RFC 8259, and what RFC 7493 asks for): an Object, []any, string, json.Number, bool
// or nil. It refuses a name that an object has twice, at whatever depth, more than maxDepth objects and arrays in each
// other, text that is not Unicode, a byte order mark, and anything after the value. Its errors show names, no values.
func Parse(src []byte, maxDepth int) (any, error) {
	if !utf8.Valid(src) {
		return nil, errors.New("it is not UTF-8")
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		return nil, errors.New("it starts with a byte order mark")
	}
	if !json.Valid(src) {
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(src)).Decode(&first) == nil {
			return nil, errors.New("something follows the JSON value")
		}
		return nil, errors.New("it is not JSON")
	}
	if hasLoneSurrogate(src) {
		return nil, errors.New("it holds half of a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	return parser{d, maxDepth}.value(0)
}

// parser reads tokens of what is known to be valid JSON.
type parser struct {
	*json.Decoder
	maxDepth int
}

func (p parser) value(depth int) (any, error) {
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth >= p.maxDepth:
		return nil, fmt.Errorf("it is nested more than %d deep", p.maxDepth)
	case delim == '{':
		return p.members(depth + 1)
	}
	list := []any{}
	for p.More() {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err = p.Token()
	return list, err
}

func (p parser) members(depth int) (any, error) {
	object := Object{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if _, twice := object[name]; twice || !ok {
			return nil, fmt.Errorf("an object has the name %.80q twice", name)
		}
		if object[name], err = p.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := p.Token()
	return object, err
}

// hasLoneSurrogate finds \ud800 to \udfff that make no character. encoding/json would replace each by U+FFFD, so that
// two texts that differ become the same.
func hasLoneSurrogate(src []byte) bool {
	unit := func(at int) uint64 { // of the escape at a position, or 0
		if at+6 > len(src) || src[at] != '\\' || src[at+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(src[at+2:at+6]), 16, 32) // valid JSON has four hexadecimal digits
		return n
	}
	for i := 0; i < len(src); i++ {
		if src[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case 0xd800 <= u && u < 0xdc00:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case 0xdc00 <= u && u <= 0xdfff:
			return true
		default:
			i++ // the character after a backslash begins no escape
		}
	}
	return false
}
