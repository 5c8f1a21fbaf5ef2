package terminal

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Style is an escape sequence that makes text stand out.
type Style string

// The styles.
const (
	Bold   Style = "\x1b[1m"
	Dim    Style = "\x1b[2m"
	Red    Style = "\x1b[31m"
	Yellow Style = "\x1b[33m"
	Plain  Style = ""

	reset = "\x1b[0m"
)

// Cell is a piece of a line and how it stands out. Its text may be that of another program: see Printable.
type Cell struct {
	Text  string
	Style Style
}

// Page lays out lines of text. No line that it returns is wider than the page.
type Page struct {
	Width int  // columns; 0: as many as there are
	Color bool // use styles
}

// Table returns lines with aligned columns, headings first. A heading that begins with < is of a column that is aligned
// left. Each row has a cell for each heading.
func (p Page) Table(headings []string, rows [][]Cell) []string {
	widths, left := make([]int, len(headings)), make([]bool, len(headings))
	head := make([]Cell, len(headings))
	for i, h := range headings {
		h, left[i] = strings.CutPrefix(h, "<")
		head[i], widths[i] = Cell{h, Dim}, utf8.RuneCountInString(h)
	}
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	var lines []string
	for _, row := range append([][]Cell{head}, rows...) {
		padded := make([]Cell, 0, 2*len(row))
		for i, c := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.Text))
			if left[i] {
				padded = append(padded, c, Cell{Text: space + "  "})
			} else {
				padded = append(padded, Cell{Text: space}, c, Cell{Text: "  "})
			}
		}
		lines = append(lines, p.Line(padded...))
	}
	return lines
}

// Fit is Table, without as many columns as it takes to fit into the page: those with the headings in spare, in that order.
func (p Page) Fit(headings []string, rows [][]Cell, spare ...string) []string {
	for _, heading := range spare {
		if p.Width <= 0 || tableWidth(headings, rows) <= p.Width {
			break
		}
		i := slices.IndexFunc(headings, func(h string) bool { return strings.TrimPrefix(h, "<") == heading })
		headings = slices.Delete(slices.Clone(headings), i, i+1)
		narrower := make([][]Cell, len(rows))
		for r, row := range rows {
			narrower[r] = slices.Delete(slices.Clone(row), i, i+1)
		}
		rows = narrower
	}
	return p.Table(headings, rows)
}

// tableWidth is how many columns of a terminal a table takes.
func tableWidth(headings []string, rows [][]Cell) int {
	total := 2 * (len(headings) - 1)
	for i, h := range headings {
		width := utf8.RuneCountInString(strings.TrimPrefix(h, "<"))
		for _, row := range rows {
			width = max(width, utf8.RuneCountInString(row[i].Text))
		}
		total += width
	}
	return total
}

// Line joins cells, cut to the width of the page.
func (p Page) Line(cells ...Cell) string {
	var b strings.Builder
	room := p.Width
	if room <= 0 {
		room = math.MaxInt
	}
	for i := len(cells) - 1; i >= 0 && strings.TrimSpace(cells[i].Text) == ""; i-- {
		cells = cells[:i]
	}
	for _, c := range cells {
		text := []rune(Printable(c.Text))
		text = text[:min(room, len(text))]
		room -= len(text)
		if p.Color && c.Style != Plain && len(text) > 0 {
			b.WriteString(string(c.Style) + string(text) + reset)
			continue
		}
		b.WriteString(string(text))
	}
	if p.Color {
		return b.String()
	}
	return strings.TrimRight(b.String(), " ")
}

// Clip cuts lines to n, the last of which then says how many are missing.
func (p Page) Clip(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	if n <= 0 {
		return nil
	}
	return append(lines[:n-1:n-1], p.Line(Cell{fmt.Sprintf("… %d more", len(lines)-n+1), Dim}))
}
