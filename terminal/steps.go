package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// State is how far a step is.
type State string

// The states of a step.
const (
	Pending State = "pending" // will be done, if nothing goes wrong before
	Active  State = "active"
	Done    State = "done"
	Skipped State = "skipped" // there was nothing to do
	Failed  State = "failed"
)

// Event is something that happened to a step.
type Event struct {
	Row      string // what the step is done for; "" is all of it
	Step     string
	State    State
	Detail   string        // for people; may be the text of another program
	Duration time.Duration // of a step that ended
}

// Steps shows how things go through the same steps: on a terminal a table that is updated in place, elsewhere one line
// for each step that ended. It is not safe for concurrent use.
type Steps struct {
	w     io.Writer
	table *stepTable // nil if w is no terminal
}

// NewSteps returns what shows steps on w. columns are the steps that each row goes through, and rows is what heads the
// names of the rows.
func NewSteps(w io.Writer, rows string, columns []string) *Steps {
	s := &Steps{w: w}
	if Is(w) {
		s.table = newStepTable(newBlock(w), rows, columns)
	}
	return s
}

// Show shows an event.
func (s *Steps) Show(e Event) {
	if s.table != nil {
		s.table.show(e)
		return
	}
	switch e.State {
	case Done, Skipped, Failed:
		row := e.Row
		if row == "" {
			row = "*"
		}
		fmt.Fprintln(s.w, strings.TrimRight(fmt.Sprintf("%-16s %-9s %-8s %7s  %s",
			row, e.Step, e.State, compact(e.Duration), oneLine(e.Detail)), " "))
	}
}

// Note prints a line of its own, such as what is waited for.
func (s *Steps) Note(text string) {
	text = oneLine(text)
	if s.table != nil {
		s.table.block.draw(cut(text, s.table.block.columns())+"\n", s.table.lines())
		return
	}
	fmt.Fprintln(s.w, text)
}

// Close leaves what is shown as it is and lets others print below it.
func (s *Steps) Close() {
	if s.table != nil {
		s.table.block.leave()
	}
}

// stepTable redraws a line for each row. Steps that concern all rows are lines above it.
type stepTable struct {
	block   *block
	heading string
	columns []string
	order   []string
	rows    map[string]*stepRow
}

type stepRow struct {
	cells  map[string]Event // by step
	detail string
}

func newStepTable(b *block, heading string, columns []string) *stepTable {
	return &stepTable{block: b, heading: heading, columns: columns, rows: map[string]*stepRow{}}
}

func (t *stepTable) show(e Event) {
	above := ""
	if e.Row == "" {
		if e.State == Done || e.State == Failed {
			line := fmt.Sprintf("%s %s %s (%s)", mark(e.State), e.Step, oneLine(e.Detail), compact(e.Duration))
			above = cut(line, t.block.columns()) + "\n"
		}
	} else {
		r := t.rows[e.Row]
		if r == nil {
			r = &stepRow{cells: map[string]Event{}}
			t.rows[e.Row], t.order = r, append(t.order, e.Row)
		}
		r.cells[e.Step] = e
		if e.Detail != "" || e.State == Active {
			r.detail = oneLine(e.Detail)
		}
	}
	t.block.draw(above, t.lines())
}

// cellWidth fits a mark and a duration below the longest name of a step.
const cellWidth = 10

// lines returns the table; no line if there are no rows yet.
func (t *stepTable) lines() []string {
	if len(t.order) == 0 {
		return nil
	}
	first := utf8.RuneCountInString(t.heading)
	for _, row := range t.order {
		first = max(first, utf8.RuneCountInString(row))
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%-*s", first+2, t.heading)
	for _, step := range t.columns {
		fmt.Fprintf(&head, "%-*s", cellWidth, step)
	}
	lines := []string{strings.TrimRight(head.String(), " ")}
	for _, row := range t.order {
		var line strings.Builder
		fmt.Fprintf(&line, "%-*s", first+2, row)
		for _, step := range t.columns {
			line.WriteString(stepCell(t.rows[row].cells[step]))
		}
		line.WriteString(t.rows[row].detail)
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

func stepCell(e Event) string {
	text := mark(e.State)
	if e.State == Done || e.State == Failed {
		text += " " + compact(e.Duration)
	}
	return text + strings.Repeat(" ", max(1, cellWidth-utf8.RuneCountInString(text)))
}

func mark(s State) string {
	switch s {
	case Done:
		return "✓"
	case Failed:
		return "✗"
	case Skipped:
		return "="
	case Active:
		return "…"
	}
	return " "
}
