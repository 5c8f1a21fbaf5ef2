package callgraph

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"countersign/terminal"
)

// WriteTable writes a line for each edge.
func (g *Graph) WriteTable(w io.Writer) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "CALLS/S\tP50\tP99\tERRORS\tLOCAL\t")
	for _, e := range g.Edges {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t\n", digits(e.Rate), took(e.P50), took(e.P99), percent(e.Errors), local(e.Local))
	}
	tw.Flush()
	figures := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	names := []string{"CALLER → CALLEE"}
	for _, e := range g.Edges {
		names = append(names, terminal.Printable(e.Caller)+" → "+terminal.Printable(e.Callee))
	}
	width := 0
	for _, name := range names {
		width = max(width, len([]rune(name)))
	}
	for i, name := range names {
		if _, err := fmt.Fprintf(w, "%-*s%s\n", width, name, figures[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes g as JSON.
func (g *Graph) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(g)
}

// WriteDOT writes g in the language of Graphviz.
func (g *Graph) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph calls {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"monospace\"];\n" +
		"  edge [fontname=\"monospace\", fontsize=10];\n")
	for _, name := range g.names() {
		fmt.Fprintf(&b, "  %s;\n", quoteDOT(name))
	}
	for _, e := range g.Edges {
		attrs := "label=" + quoteDOT(e.label())
		if e.Errors > 0 {
			attrs += ", color=" + quoteDOT(e.color())
		}
		fmt.Fprintf(&b, "  %s -> %s [%s];\n", quoteDOT(e.Caller), quoteDOT(e.Callee), attrs)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quoteDOT makes a quoted identifier; a line break becomes the escape for one.
func quoteDOT(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = terminal.Printable(lines[i])
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

// WriteMermaid writes g as a Mermaid flow chart.
func (g *Graph) WriteMermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[string]string{}
	for i, name := range g.names() {
		ids[name] = fmt.Sprintf("f%d", i)
		fmt.Fprintf(&b, "  %s(\"%s\")\n", ids[name], escapeMermaid(name))
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s -->|\"%s\"| %s\n", ids[e.Caller], escapeMermaid(e.label()), ids[e.Callee])
	}
	for i, e := range g.Edges {
		if e.Errors > 0 {
			fmt.Fprintf(&b, "  linkStyle %d stroke:%s\n", i, e.color())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// escapeMermaid writes what has a meaning within a quoted text as character entities, which Mermaid begins with #.
func escapeMermaid(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("<br>")
		case strings.ContainsRune("\"#&;<>`|\\", r) || !unicode.IsPrint(r):
			fmt.Fprintf(&b, "#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// label tells the figures of an edge in one or two lines.
func (e Edge) label() string {
	var second []string
	if e.Local != nil {
		second = append(second, local(e.Local)+" local")
	}
	if e.Errors > 0 {
		second = append(second, percent(e.Errors)+" errors")
	}
	text := digits(e.Rate) + "/s, p99 " + took(e.P99)
	if len(second) == 0 {
		return text
	}
	return text + "\n" + strings.Join(second, ", ")
}

// color says how many of the calls fail.
func (e Edge) color() string {
	switch {
	case e.Errors >= .05:
		return "#c62828"
	case e.Errors > 0:
		return "#e07b00"
	}
	return "#5b6b7c"
}

// took writes a time with three digits and the unit that fits.
func took(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 999500*time.Nanosecond:
		return digits(float64(d)/1e3) + "µs"
	case d < 999500*time.Microsecond:
		return digits(float64(d)/1e6) + "ms"
	}
	return digits(d.Seconds()) + "s"
}

// digits writes f with three digits, more if it is larger.
func digits(f float64) string {
	switch {
	case f >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case f >= 9.995:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// percent writes a share so that 0 and 100 stand for none and all.
func percent(share float64) string {
	switch p := share * 100; {
	case p > 0 && p < .1:
		return "<0.1%"
	case p > 99.9 && p < 100:
		return ">99.9%"
	case p == math.Trunc(p) || p >= 9.95 && p < 99:
		return fmt.Sprintf("%.0f%%", p)
	default:
		return fmt.Sprintf("%.1f%%", p)
	}
}

func local(share *float64) string {
	if share == nil {
		return "-"
	}
	return percent(*share)
}
