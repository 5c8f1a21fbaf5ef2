package sf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type parser struct {
	s string
	i int
}

func newParser(s string) (*parser, error) {
	if len(s) > maxInput {
		return nil, fmt.Errorf("structured field: %d bytes; at most %d are looked at", len(s), maxInput)
	}
	p := &parser{s: s}
	p.skip(" ")
	return p, nil
}

func (p *parser) done() bool { return p.i >= len(p.s) }

// peek returns the next byte, or 0 at the end; a NUL in the input matches no rule either.
func (p *parser) peek() byte {
	if p.done() {
		return 0
	}
	return p.s[p.i]
}

func (p *parser) skip(set string) {
	for !p.done() && strings.IndexByte(set, p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *parser) eat(c byte) bool {
	if p.peek() != c || p.done() {
		return false
	}
	p.i++
	return true
}

func (p *parser) wrap(err error) error {
	return fmt.Errorf("structured field: byte %d: %w", p.i+1, err)
}

// nextMember moves over the comma between two members of a list or a dictionary; a trailing comma is an error.
func (p *parser) nextMember() error {
	p.skip(" \t")
	if p.done() {
		return nil
	}
	if !p.eat(',') {
		return errors.New("want a comma")
	}
	p.skip(" \t")
	if p.done() {
		return errors.New("nothing follows the comma")
	}
	return nil
}

func (p *parser) member() (Member, error) {
	key, err := p.key()
	if err != nil {
		return Member{}, err
	}
	if p.eat('=') {
		it, err := p.itemOrInnerList()
		return Member{Key: key, Item: it}, err
	}
	params, err := p.params()
	return Member{Key: key, Item: Item{Value: true, Params: params}}, err
}

func (p *parser) itemOrInnerList() (Item, error) {
	if p.peek() == '(' {
		return p.innerList()
	}
	return p.item()
}

func (p *parser) innerList() (Item, error) {
	list := Item{IsList: true}
	p.eat('(')
	for {
		p.skip(" ")
		if p.eat(')') {
			params, err := p.params()
			list.Params = params
			return list, err
		}
		it, err := p.item()
		if err != nil {
			return Item{}, err
		}
		if list.Inner = append(list.Inner, it); len(list.Inner) > maxInner {
			return Item{}, errors.New("too many members")
		}
		if c := p.peek(); c != ' ' && c != ')' {
			return Item{}, errors.New("want a space or ) in the inner list")
		}
	}
}

func (p *parser) item() (Item, error) {
	value, err := p.bare()
	if err != nil {
		return Item{}, err
	}
	params, err := p.params()
	return Item{Value: value, Params: params}, err
}

func (p *parser) params() (Params, error) {
	var params Params
	for p.eat(';') {
		p.skip(" ")
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		var value any = true
		if p.eat('=') {
			if value, err = p.bare(); err != nil {
				return nil, err
			}
		}
		if _, twice := params.Get(key); twice {
			return nil, errors.New("a parameter occurs twice")
		}
		if params = append(params, Param{Key: key, Value: value}); len(params) > maxParams {
			return nil, errors.New("too many parameters")
		}
	}
	return params, nil
}

func (p *parser) key() (string, error) {
	start := p.i
	if c := p.peek(); !isLower(c) && c != '*' {
		return "", errors.New("want a key: a lower-case letter or *")
	}
	for !p.done() {
		if c := p.s[p.i]; !isLower(c) && !isDigit(c) && c != '_' && c != '-' && c != '.' && c != '*' {
			break
		}
		p.i++
	}
	if p.i-start > maxKey {
		return "", errors.New("the key is too long")
	}
	return p.s[start:p.i], nil
}

func (p *parser) bare() (any, error) {
	switch c := p.peek(); {
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return p.quoted()
	case c == ':':
		return p.bytes()
	case c == '?':
		return p.boolean()
	case c == '@':
		return p.date()
	case c == '%':
		return p.display()
	case c == '*' || isAlpha(c):
		return p.token(), nil
	}
	return nil, errors.New("want a value")
}

func (p *parser) number() (any, error) {
	negative := p.eat('-')
	start := p.i
	for isDigit(p.peek()) {
		p.i++
	}
	head := p.s[start:p.i]
	if head == "" || len(head) > maxIntegerDigits {
		return nil, errors.New("want an integer of 1 to 15 digits")
	}
	if p.peek() == '.' {
		return p.fraction(head, negative)
	}
	n, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return nil, errors.New("want an integer")
	}
	if negative {
		n = -n
	}
	return n, nil
}

func (p *parser) fraction(head string, negative bool) (any, error) {
	p.eat('.')
	start := p.i
	for isDigit(p.peek()) {
		p.i++
	}
	tail := p.s[start:p.i]
	if len(head) > maxDecimalHead || tail == "" || len(tail) > 3 {
		return nil, errors.New("want a decimal of at most 12 digits and 1 to 3 of fraction")
	}
	n, err := strconv.ParseInt(head+tail+"000"[len(tail):], 10, 64)
	if err != nil {
		return nil, errors.New("want a decimal")
	}
	if negative {
		n = -n
	}
	return Decimal(n), nil
}

func (p *parser) quoted() (any, error) {
	p.eat('"')
	// Most strings have no escape: they are a part of the input.
	start := p.i
	for !p.done() && p.s[p.i] != '"' && p.s[p.i] != '\\' {
		if c := p.s[p.i]; c < 0x20 || c > 0x7e {
			return nil, errors.New("the string holds a character that is not printable ASCII")
		}
		p.i++
	}
	if p.eat('"') {
		return p.s[start : p.i-1], nil
	}
	out := []byte(p.s[start:p.i])
	for !p.done() {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return string(out), nil
		case c == '\\':
			if c = p.peek(); c != '"' && c != '\\' {
				return nil, errors.New(`only \" and \\ can be escaped in a string`)
			}
			p.i++
		case c < 0x20 || c > 0x7e:
			return nil, errors.New("the string holds a character that is not printable ASCII")
		}
		out = append(out, c)
	}
	return nil, errors.New("the string does not end")
}

func (p *parser) bytes() (any, error) {
	p.eat(':')
	end := strings.IndexByte(p.s[p.i:], ':')
	if end < 0 {
		return nil, errors.New("the byte sequence does not end")
	}
	text := p.s[p.i : p.i+end]
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("the byte sequence holds a line break")
	}
	// Strict: padding is required and its unused bits are zero, so that a value has one spelling.
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("the byte sequence is not base64")
	}
	p.i += end + 1
	return b, nil
}

func (p *parser) boolean() (any, error) {
	p.eat('?')
	switch {
	case p.eat('1'):
		return true, nil
	case p.eat('0'):
		return false, nil
	}
	return nil, errors.New("want ?0 or ?1")
}

func (p *parser) date() (any, error) {
	p.eat('@')
	if c := p.peek(); c != '-' && !isDigit(c) {
		return nil, errors.New("want an integer in the date")
	}
	n, err := p.number()
	if err != nil {
		return nil, err
	}
	seconds, ok := n.(int64)
	if !ok {
		return nil, errors.New("want an integer in the date")
	}
	return Date(seconds), nil
}

func (p *parser) display() (any, error) {
	p.eat('%')
	if !p.eat('"') {
		return nil, errors.New("want a quote in the display string")
	}
	var out []byte
	for !p.done() {
		c := p.s[p.i]
		p.i++
		switch {
		case c < 0x20 || c > 0x7e:
			return nil, errors.New("the display string holds a character that is not printable ASCII")
		case c == '"':
			if !utf8.Valid(out) {
				return nil, errors.New("the display string is not UTF-8")
			}
			return Display(out), nil
		case c == '%':
			if p.i+2 > len(p.s) || !isLowerHex(p.s[p.i]) || !isLowerHex(p.s[p.i+1]) {
				return nil, errors.New("want two lower-case hexadecimal digits in the display string")
			}
			b, err := strconv.ParseUint(p.s[p.i:p.i+2], 16, 8)
			if err != nil {
				return nil, errors.New("want two hexadecimal digits in the display string")
			}
			out = append(out, byte(b))
			p.i += 2
		default:
			out = append(out, c)
		}
	}
	return nil, errors.New("the display string does not end")
}

func (p *parser) token() any {
	start := p.i
	for !p.done() && isTokenByte(p.s[p.i]) {
		p.i++
	}
	return Token(p.s[start:p.i])
}

func isLower(c byte) bool    { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool    { return isLower(c) || 'A' <= c && c <= 'Z' }
func isLowerHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

func isTokenByte(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
}
