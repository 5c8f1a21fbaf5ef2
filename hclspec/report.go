package hclspec

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// snippetLength is how many characters of a line are shown.
const snippetLength = 160

// WriteDiagnostics writes diags for people, each with the line of source that it is about. sources holds the files'
// content by the names given to the parser. A width of 0 does not wrap lines; color adds terminal escape sequences.
//
// It does the work of hcl.NewDiagnosticTextWriter, which takes minutes for some small files and passes escape sequences
// in the source on to the terminal: the source is not ours.
func WriteDiagnostics(w io.Writer, sources map[string][]byte, diags hcl.Diagnostics, width int, color bool) error {
	r := &reporter{sources: sources, bodies: map[string]*hclsyntax.Body{}, width: width, color: color}
	for _, d := range diags {
		r.diagnostic(d)
	}
	if _, err := w.Write(r.out.Bytes()); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

type reporter struct {
	sources map[string][]byte
	bodies  map[string]*hclsyntax.Body
	width   int
	color   bool
	out     bytes.Buffer
}

func (r *reporter) diagnostic(d *hcl.Diagnostic) {
	label, style := "Error", "\x1b[1;31m"
	if d.Severity == hcl.DiagWarning {
		label, style = "Warning", "\x1b[1;33m"
	}
	fmt.Fprintf(&r.out, "%s: %s\n", r.styled(style, label), printable(d.Summary))
	if d.Subject != nil {
		r.place(*d.Subject, style)
	}
	fmt.Fprintln(&r.out)
	for line := range strings.Lines(d.Detail) {
		r.wrap(strings.TrimSuffix(line, "\n"))
	}
	fmt.Fprintln(&r.out)
}

// place writes where at is, the line of source, and marks under it.
func (r *reporter) place(at hcl.Range, style string) {
	fmt.Fprintf(&r.out, "  on %s:%d:%d", printable(at.Filename), at.Start.Line, at.Start.Column)
	src, ok := r.sources[at.Filename]
	if !ok {
		fmt.Fprintln(&r.out)
		return
	}
	if in := r.enclosing(at); in != "" {
		fmt.Fprintf(&r.out, ", in %s", in)
	}
	before, marked, after := cutLine(src, at)
	number := fmt.Sprintf("%5d: ", at.Start.Line)
	fmt.Fprintf(&r.out, ":\n%s%s%s%s\n", number, before, marked, after)
	marks := strings.Repeat("^", max(1, utf8.RuneCountInString(marked)))
	indent := strings.Repeat(" ", len(number)+utf8.RuneCountInString(before))
	fmt.Fprintf(&r.out, "%s%s\n", indent, r.styled(style, marks))
}

func (r *reporter) styled(style, text string) string {
	if !r.color {
		return text
	}
	return style + text + "\x1b[0m"
}

// wrap writes a line of a detail. An indented line is an example and stays as it is.
func (r *reporter) wrap(line string) {
	column := 0
	for i, word := range strings.Split(printable(line), " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case r.width > 0 && column+1+length > r.width && !strings.HasPrefix(line, " "):
			fmt.Fprintln(&r.out)
			column = 0
		default:
			r.out.WriteByte(' ')
			column++
		}
		r.out.WriteString(word)
		column += length
	}
	fmt.Fprintln(&r.out)
}

// enclosing names the blocks around a place, such as: function "quote", resources.
func (r *reporter) enclosing(at hcl.Range) string {
	body, parsed := r.bodies[at.Filename]
	if !parsed {
		body, _ = parseBody(at.Filename, r.sources[at.Filename])
		r.bodies[at.Filename] = body
	}
	var names []string
	for body != nil {
		b := innerBlock(body, at.Start.Byte)
		if b == nil {
			break
		}
		name := b.Type
		for _, label := range b.Labels {
			name += fmt.Sprintf(" %q", label)
		}
		names = append(names, name)
		body = b.Body
	}
	text := strings.Join(names, ", ")
	if len(text) > snippetLength {
		return ""
	}
	return text
}

// innerBlock returns the block of body whose braces are around offset.
func innerBlock(body *hclsyntax.Body, offset int) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if b.OpenBraceRange.Start.Byte < offset && offset <= b.CloseBraceRange.Start.Byte {
			return b
		}
	}
	return nil
}

// Snippet returns the line of source on which a place starts, without its indentation, shortened if it is long, and
// without characters that a terminal would not print.
func Snippet(src []byte, at hcl.Range) string {
	before, marked, after := cutLine(src, at)
	return strings.TrimSpace(before + marked + after)
}

// cutLine returns the line on which at starts as what is before, in and after it. Long parts are shortened.
func cutLine(src []byte, at hcl.Range) (before, marked, after string) {
	start := min(max(at.Start.Byte, 0), len(src))
	end := min(max(at.End.Byte, start), len(src))
	first := bytes.LastIndexByte(src[:start], '\n') + 1
	last := len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		last = start + i
	}
	end = min(end, last)
	before, marked, after = shorten(src[first:start], true), shorten(src[start:end], false), shorten(src[end:last], false)
	return before, marked, strings.TrimRight(after, " ")
}

// shorten returns at most snippetLength characters of text, its end or its start, as far as they can be printed.
func shorten(text []byte, end bool) string {
	const most = snippetLength * utf8.UTFMax
	if len(text) > most { // characters beyond are not even looked at
		if end {
			text = text[len(text)-most:]
		} else {
			text = text[:most]
		}
	}
	runes := []rune(printable(string(text)))
	if len(runes) <= snippetLength {
		return string(runes)
	}
	if end {
		return "…" + string(runes[len(runes)-snippetLength:])
	}
	return string(runes[:snippetLength]) + "…"
}

// printable replaces what would change the terminal: control characters, escape sequences, text direction marks.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\r':
			return ' '
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return '\ufffd'
		}
		return c
	}, text)
}
