package terminal

import (
	"fmt"
	"io"
	"strings"
)

// block is lines at the end of what was printed, which are drawn again in place. The cursor stays behind its last line.
type block struct {
	w       io.Writer
	columns func() int // of the terminal
	drawn   int        // how many lines are on the screen
}

// newBlock returns a block on a terminal.
func newBlock(w io.Writer) *block {
	return &block{w: w, columns: func() int {
		columns, _ := Size(w)
		return columns
	}}
}

// draw replaces the lines that were drawn before. above is printed first and stays; it ends with a line break, or is "".
// A line that wraps would break the redrawing, so each is cut; the last column stays free for the cursor.
func (b *block) draw(above string, lines []string) {
	var text strings.Builder
	if b.drawn > 0 {
		text.WriteString("\r\x1b[K")
	}
	if b.drawn > 1 {
		fmt.Fprintf(&text, "\x1b[%dA\x1b[J", b.drawn-1) // up to the first line, clear all below
	}
	text.WriteString(above)
	room := max(1, b.columns()-1)
	for i, line := range lines {
		if i > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(cut(line, room))
	}
	b.drawn = len(lines)
	io.WriteString(b.w, text.String())
}

// leave keeps the lines as they are and lets others print below them.
func (b *block) leave() {
	if b.drawn > 0 {
		io.WriteString(b.w, "\n")
		b.drawn = 0
	}
}
