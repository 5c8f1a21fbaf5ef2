package hclspec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// isInvisible tells characters that a reader does not see, or that change how others are shown: control characters, text
// direction marks, joiners, tags, variation selectors, fillers, line separators. With them a file says one thing to people
// and another to programs. Newlines and tabs are not among them.
func isInvisible(c rune) bool {
	return c != '\n' && c != '\t' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point) || c == '\u2800'
}

// checkCharacters refuses a source with characters that are not UTF-8, or invisible, comments included. Lines may end
// with CR LF; a CR alone would be a new line to some readers only.
func checkCharacters(filename string, src []byte) *hcl.Diagnostic {
	if bytes.HasPrefix(src, byteOrderMark) {
		return errorAt(hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}, "Byte order mark",
			"The file starts with a byte order mark. Save it as UTF-8 without one.")
	}
	pos := hcl.InitialPos
	for rest := src; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		end := hcl.Pos{Line: pos.Line, Column: pos.Column + 1, Byte: pos.Byte + size}
		at := hcl.Range{Filename: filename, Start: pos, End: end}
		switch {
		case c == utf8.RuneError && size == 1:
			return errorAt(at, "Not UTF-8", "The file is not text in UTF-8. Save it as UTF-8 without a byte order mark.")
		case c == '\r' && bytes.HasPrefix(rest, []byte("\r\n")):
		case isInvisible(c):
			return errorAt(at, "Invisible character", "Here is %s, which people do not see as what it is. Remove it.", named(c))
		}
		if pos = end; c == '\n' {
			pos.Line, pos.Column = pos.Line+1, 1
		}
		rest = rest[size:]
	}
	return nil
}

func named(c rune) string { return fmt.Sprintf("U+%04X", c) }

// textOf returns a text with lines that end with a newline only: in a heredoc they end as they do in the file.
func textOf(v cty.Value) string { return strings.ReplaceAll(v.AsString(), "\r\n", "\n") }

// checkVisible refuses an escape, such as \u202e, like the character itself.
func (r *reader) checkVisible(text string, at hcl.Range) bool {
	i := strings.IndexFunc(text, isInvisible)
	if i < 0 {
		return true
	}
	c, _ := utf8.DecodeRuneInString(text[i:])
	r.errorAt(at, "Invisible character", "The text holds %s, which people do not see as what it is. Remove it.", named(c))
	return false
}

// visible returns what people see of a source in whatever encoding, one line for each that some reader would show.
func visible(src []byte) []byte {
	return bytes.Map(func(c rune) rune {
		switch {
		case c == '\r' || c == '\v' || c == '\f' || c == '\u0085' || c == '\u2028' || c == '\u2029':
			return '\n'
		case c == utf8.RuneError || isInvisible(c):
			return -1
		case unicode.IsSpace(c) && c != '\n':
			return ' '
		}
		return c
	}, src)
}
