// Package live shows a deploy while it happens: a table that is updated in place on a terminal, one line per finished
// step elsewhere. It owns how progress looks and must not know how anything is done.
package live

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"countersign/pipeline/progress"
)

// View is an observer that has to be closed when the deploy ended, before anything else is printed.
type View interface {
	progress.Observer
	Close()
}

// New returns a view for w: a table if w is a terminal that can move its cursor, otherwise lines. steps are those that
// each function goes through, the table's columns.
func New(w io.Writer, steps []progress.Step) View {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		return newTable(w, steps, func() int {
			width, _, err := term.GetSize(int(file.Fd()))
			if err != nil {
				return 80
			}
			return width
		})
	}
	return &lines{w: w}
}

// lines prints each step when it ends.
type lines struct{ w io.Writer }

func (l *lines) Close() {}

func (l *lines) Observe(p progress.Progress) {
	switch p.State {
	case progress.Done, progress.Skipped, progress.Failed:
		fmt.Fprintln(l.w, strings.TrimRight(fmt.Sprintf("%-16s %-9s %-8s %7s  %s",
			name(p.Function), p.Step, p.State, duration(p.Duration), oneLine(p.Detail)), " "))
	}
}

func name(function string) string {
	if function == "" {
		return "*"
	}
	return function
}

// duration rounds to what people compare.
func duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// oneLine makes text of other programs safe for a terminal: no control characters, no line breaks.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)), " ")
}

// table redraws a row per function. Steps that concern all functions are lines above it.
type table struct {
	w     io.Writer
	steps []progress.Step
	width func() int
	order []string
	rows  map[string]*row
	drawn int // lines on the screen that belong to the table
}

type row struct {
	cells  map[progress.Step]progress.Progress
	detail string
}

func newTable(w io.Writer, steps []progress.Step, width func() int) *table {
	return &table{w: w, steps: steps, width: width, rows: map[string]*row{}}
}

// Close leaves the table as it is and lets others print below it.
func (t *table) Close() { t.drawn = 0 }

func (t *table) Observe(p progress.Progress) {
	var b strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", t.drawn) // up to the table's first line, clear all below
	}
	if p.Function == "" {
		if p.State == progress.Done || p.State == progress.Failed {
			b.WriteString(t.cut(fmt.Sprintf("%s %s %s (%s)", mark(p.State), p.Step, oneLine(p.Detail),
				duration(p.Duration))) + "\n")
		}
	} else {
		r := t.rows[p.Function]
		if r == nil {
			r = &row{cells: map[progress.Step]progress.Progress{}}
			t.rows[p.Function], t.order = r, append(t.order, p.Function)
		}
		r.cells[p.Step] = p
		if p.Detail != "" || p.State == progress.Active {
			r.detail = oneLine(p.Detail)
		}
	}
	t.drawn = 0
	if len(t.order) > 0 {
		t.drawn = 1 + len(t.order)
		b.WriteString(t.draw())
	}
	io.WriteString(t.w, b.String())
}

// cellWidth fits a mark and a duration below the longest step name.
const cellWidth = 10

func (t *table) draw() string {
	first := len("function")
	for _, function := range t.order {
		first = max(first, len(function))
	}
	var b, head strings.Builder
	fmt.Fprintf(&head, "%-*s", first+2, "function")
	for _, step := range t.steps {
		fmt.Fprintf(&head, "%-*s", cellWidth, step)
	}
	b.WriteString(t.cut(strings.TrimRight(head.String(), " ")) + "\n")
	for _, function := range t.order {
		var line strings.Builder
		fmt.Fprintf(&line, "%-*s", first+2, function)
		for _, step := range t.steps {
			line.WriteString(cell(t.rows[function].cells[step]))
		}
		line.WriteString(t.rows[function].detail)
		b.WriteString(t.cut(strings.TrimRight(line.String(), " ")) + "\n")
	}
	return b.String()
}

func cell(p progress.Progress) string {
	text := mark(p.State)
	if p.State == progress.Done || p.State == progress.Failed {
		text += " " + duration(p.Duration)
	}
	return text + strings.Repeat(" ", max(1, cellWidth-utf8.RuneCountInString(text)))
}

func mark(s progress.State) string {
	switch s {
	case progress.Done:
		return "✓"
	case progress.Failed:
		return "✗"
	case progress.Skipped:
		return "="
	case progress.Active:
		return "…"
	}
	return " "
}

// cut shortens a line to the terminal's width: a line that wraps would break the redrawing.
func (t *table) cut(line string) string {
	width := t.width()
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:max(0, width-1)]) + "…"
}
