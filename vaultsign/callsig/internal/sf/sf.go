// Package sf reads and writes structured field values: RFC 9651, which obsoletes RFC 8941.
//
// It owns the syntax and nothing else; it must not know signatures or which field has which type. It is stricter than
// the RFC in one thing: a key that occurs twice in a dictionary or in parameters is an error, where the RFC lets the
// last one win. In a signed message two readers must not be able to differ.
package sf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Token is a bare item of type token (RFC 9651 section 3.3.4).
type Token string

// Date is a bare item of type date: seconds since the Unix epoch (section 3.3.7).
type Date int64

// Display is a bare item of type display string (section 3.3.8).
type Display string

// Decimal is a bare item of type decimal, in thousandths (section 3.3.2).
type Decimal int64

// Param is one parameter. Value is a bare item: int64, Decimal, string, Token, []byte, bool, Date or Display.
type Param struct {
	Key   string
	Value any
}

// Params are the parameters of an item or an inner list, in order.
type Params []Param

// Get returns the value of a parameter.
func (p Params) Get(key string) (any, bool) {
	for i := range p {
		if p[i].Key == key {
			return p[i].Value, true
		}
	}
	return nil, false
}

// Item is a bare item with parameters. Inner is set, and Value nil, if it is an inner list.
type Item struct {
	Value  any
	Inner  []Item
	IsList bool // an inner list, possibly empty
	Params Params
}

// Member is one member of a dictionary.
type Member struct {
	Key  string
	Item Item
}

// Dict is a dictionary, in order.
type Dict []Member

// Get returns a member.
func (d Dict) Get(key string) (Item, bool) {
	for i := range d {
		if d[i].Key == key {
			return d[i].Item, true
		}
	}
	return Item{}, false
}

const (
	maxIntegerDigits = 15
	maxDecimalHead   = 12       // digits before the point
	maxKey           = 256      // ours; the RFC asks for at least 64 bytes
	maxMembers       = 1024     // of a list or a dictionary: as many as the RFC asks for
	maxInner         = 256      // of an inner list, likewise
	maxParams        = 256      // of an item, likewise
	maxInput         = 64 << 10 // ours; bytes of one field
	manyMembers      = 32       // from which on keys are looked up in a map
)

// ParseDict reads a dictionary (section 4.2.2).
func ParseDict(s string) (Dict, error) {
	p, err := newParser(s)
	if err != nil {
		return nil, err
	}
	var d Dict
	var seen map[string]bool // of a long dictionary, so that the time is not the square of its length
	for !p.done() {
		m, err := p.member()
		if err != nil {
			return nil, p.wrap(err)
		}
		if len(d) == manyMembers {
			seen = make(map[string]bool, 2*manyMembers)
			for i := range d {
				seen[d[i].Key] = true
			}
		}
		twice := seen[m.Key]
		if seen == nil {
			_, twice = d.Get(m.Key)
		} else {
			seen[m.Key] = true
		}
		if twice {
			return nil, p.wrap(errors.New("a key occurs twice"))
		}
		if d = append(d, m); len(d) > maxMembers {
			return nil, p.wrap(errors.New("too many members"))
		}
		if err := p.nextMember(); err != nil {
			return nil, p.wrap(err)
		}
	}
	return d, nil
}

// ParseList reads a list (section 4.2.1).
func ParseList(s string) ([]Item, error) {
	p, err := newParser(s)
	if err != nil {
		return nil, err
	}
	var l []Item
	for !p.done() {
		it, err := p.itemOrInnerList()
		if err != nil {
			return nil, p.wrap(err)
		}
		if l = append(l, it); len(l) > maxMembers {
			return nil, p.wrap(errors.New("too many members"))
		}
		if err := p.nextMember(); err != nil {
			return nil, p.wrap(err)
		}
	}
	return l, nil
}

// ParseItem reads an item that is not an inner list (section 4.2.3).
func ParseItem(s string) (Item, error) {
	p, err := newParser(s)
	if err != nil {
		return Item{}, err
	}
	it, err := p.item()
	if err != nil {
		return Item{}, p.wrap(err)
	}
	p.skip(" ")
	if !p.done() {
		return Item{}, p.wrap(errors.New("something follows the item"))
	}
	return it, nil
}

// AppendDict appends the canonical form of a dictionary (section 4.1.2).
func AppendDict(dst []byte, d Dict) []byte {
	for i, m := range d {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, m.Key...)
		if v, ok := m.Item.Value.(bool); ok && v && !m.Item.IsList {
			dst = AppendParams(dst, m.Item.Params)
			continue
		}
		dst = append(dst, '=')
		dst = AppendItem(dst, m.Item)
	}
	return dst
}

// AppendList appends the canonical form of a list (section 4.1.1).
func AppendList(dst []byte, l []Item) []byte {
	for i := range l {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = AppendItem(dst, l[i])
	}
	return dst
}

// AppendItem appends the canonical form of an item or an inner list (sections 4.1.3 and 4.1.1.1).
func AppendItem(dst []byte, it Item) []byte {
	if !it.IsList {
		return AppendParams(AppendBare(dst, it.Value), it.Params)
	}
	dst = append(dst, '(')
	for i := range it.Inner {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = AppendItem(dst, it.Inner[i])
	}
	return AppendParams(append(dst, ')'), it.Params)
}

// AppendParams appends the canonical form of parameters (section 4.1.1.2).
func AppendParams(dst []byte, params Params) []byte {
	for _, p := range params {
		dst = append(dst, ';')
		dst = append(dst, p.Key...)
		if v, ok := p.Value.(bool); ok && v {
			continue
		}
		dst = append(dst, '=')
		dst = AppendBare(dst, p.Value)
	}
	return dst
}

// AppendBare appends the canonical form of a bare item (section 4.1.3.1).
func AppendBare(dst []byte, value any) []byte {
	switch v := value.(type) {
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case Decimal:
		return appendDecimal(dst, v)
	case string:
		return AppendString(dst, v)
	case Token:
		return append(dst, v...)
	case []byte:
		return AppendBytes(dst, v)
	case bool:
		if v {
			return append(dst, "?1"...)
		}
		return append(dst, "?0"...)
	case Date:
		return strconv.AppendInt(append(dst, '@'), int64(v), 10)
	case Display:
		return appendDisplay(dst, v)
	}
	// Only this package makes items, so another type is a mistake of ours; it must not pass for a value.
	panic(fmt.Sprintf("structured field: no such bare item type %T", value))
}

// AppendString appends a string (section 4.1.6). The caller has checked it with ValidString.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		return append(append(dst, s...), '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// ValidString reports whether s can be a structured field string: printable ASCII.
func ValidString(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// AppendBytes appends a byte sequence (section 4.1.8).
func AppendBytes(dst, b []byte) []byte {
	dst = append(dst, ':')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, ':')
}

func appendDecimal(dst []byte, d Decimal) []byte {
	if d < 0 {
		dst, d = append(dst, '-'), -d
	}
	dst = strconv.AppendInt(dst, int64(d)/1000, 10)
	fraction := strconv.AppendInt(nil, 1000+int64(d)%1000, 10)[1:]
	for len(fraction) > 1 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return append(append(dst, '.'), fraction...)
}

func appendDisplay(dst []byte, s Display) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '%', '"')
	for i := range len(s) {
		if c := s[i]; c == '%' || c == '"' || c < 0x20 || c > 0x7e {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
