package callgraph

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"countersign/telemetry/metric"
	"countersign/terminal"
)

// The measures of the picture, in pixels.
const (
	charWidth   = 8.0 // of the monospaced font at 13 px, a little wider than it is
	smallWidth  = 6.8 // the same at 11 px
	lineHeight  = 13.0
	boxHeight   = 44.0
	rowHeight   = 76.0
	gap         = 190.0 // between layers: room for the figures of an edge
	margin      = 24.0
	laneHeight  = 40.0 // of an edge that goes back
	labelHeight = 28.0
	longestName = 24 // characters; a longer name is cut
)

// drawing collects the elements of the picture, and where texts are.
type drawing struct {
	strings.Builder
	layout *layout
	width  float64 // of a box
	labels []label
}

// label is the figures of an edge, with the middle of the place that is theirs.
type label struct {
	x, y float64
	edge *Edge
}

// WriteSVG writes g as a picture: functions in layers from left to right, calls as lines that are thicker the more there
// are, orange or red if some fail, dashed if none stays on its host.
func (g *Graph) WriteSVG(w io.Writer) error {
	d := &drawing{}
	if len(g.Edges) > 0 {
		d.draw(g)
	}
	width, height := d.size(g)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" `+
		`font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">`+"\n",
		width, height, width, height)
	out.WriteString("<title>Observed calls</title>\n" + `<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	out.WriteString(d.String())
	fmt.Fprintf(&out, `<text x="%.0f" y="%.0f" font-size="11" fill="#68737d">%s</text>`+"\n</svg>\n",
		margin, height-12, html.EscapeString(g.caption()))
	_, err := io.WriteString(w, out.String())
	return err
}

// caption says what the figures are of.
func (g *Graph) caption() string {
	over := fmt.Sprintf("Calls over %s", took(seconds(g.Seconds)))
	if g.SinceStart {
		over = "Calls since the hosts started"
	}
	if len(g.Edges) == 0 {
		return over + ", " + count(g.Hosts, "host") + ": none"
	}
	return over + ", " + count(g.Hosts, "host") + ". Dashed: all remote. Orange: some fail. Red: 5% or more fail."
}

func (d *drawing) draw(g *Graph) {
	d.layout = newLayout(g)
	longest := 9
	for _, name := range g.names() {
		longest = max(longest, min(longestName, utf8.RuneCountInString(name)))
	}
	d.width = float64(longest)*charWidth + 28
	lane := 0
	for _, r := range d.layout.edges {
		if r.back {
			lane++
			d.backEdge(r, lane)
			continue
		}
		d.edge(r)
	}
	rates := map[string]float64{}
	for _, e := range g.Edges {
		rates[e.Callee] += e.Rate
	}
	for _, layer := range d.layout.layers {
		for _, v := range layer {
			if v.name != "" {
				d.box(v, rates[v.name])
			}
		}
	}
	d.spread()
	for _, l := range d.labels {
		d.label(l)
	}
}

func (d *drawing) size(g *Graph) (width, height float64) {
	width, height = smallWidth*float64(len(g.caption())), 0
	if d.layout != nil {
		width = max(width, float64(len(d.layout.layers))*(d.width+gap)-gap)
		height = d.bottom()
		for _, r := range d.layout.edges {
			if r.back {
				height += laneHeight
			}
		}
	}
	return width + 2*margin, height + 2*margin + 16
}

// bottom is the lower end of the lowest box.
func (d *drawing) bottom() float64 { return margin + d.layout.height()*rowHeight + boxHeight }

func (d *drawing) left(v *vertex) float64   { return margin + float64(v.layer)*(d.width+gap) }
func (d *drawing) middle(v *vertex) float64 { return margin + v.y*rowHeight + boxHeight/2 }

func (d *drawing) box(v *vertex, rate float64) {
	x, y := d.left(v), d.middle(v)-boxHeight/2
	name, second, style := v.name, digits(rate)+"/s", `fill="#eef3f8" stroke="#34495e"`
	if v.name == metric.Outside {
		second, style = "clients", `fill="#fff" stroke="#34495e" stroke-dasharray="4 3"`
	}
	if runes := []rune(name); len(runes) > longestName {
		name = string(runes[:longestName-1]) + "…"
	}
	fmt.Fprintf(d, `<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="7" %s/>`,
		html.EscapeString(terminal.Printable(v.name)), x, y, d.width, boxHeight, style)
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="bold" fill="#1c2833">%s</text>`,
		x+d.width/2, y+18, html.EscapeString(terminal.Printable(name)))
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="11" fill="#68737d">%s</text></g>`+"\n",
		x+d.width/2, y+34, second)
}

// edge draws a line to the right, level at both ends and in each layer that it passes.
func (d *drawing) edge(r route) {
	from, to := r.via[0], r.via[1]
	x, y := d.left(from)+d.width, d.middle(from)
	path := fmt.Sprintf("M%.1f %.1f", x, y)
	d.labels = append(d.labels, label{(x + d.left(to)) / 2, (y + d.middle(to)) / 2, r.edge})
	for _, v := range r.via[1:] {
		nextX, nextY := d.left(v), d.middle(v)
		path += fmt.Sprintf(" C%.1f %.1f %.1f %.1f %.1f %.1f", x+gap/2, y, nextX-gap/2, nextY, nextX, nextY)
		if x, y = nextX, nextY; v.name == "" {
			x += d.width
			path += fmt.Sprintf(" H%.1f", x)
		}
	}
	d.line(r.edge, path)
	d.arrow(r.edge, x, y, 0)
}

// backEdge draws a line that leaves its caller and enters its callee from below, in a lane of its own.
func (d *drawing) backEdge(r route, lane int) {
	from, to := r.via[0], r.via[1]
	x, y := d.left(from)+d.width*.65, d.middle(from)+boxHeight/2
	endX, endY := d.left(to)+d.width*.35, d.middle(to)+boxHeight/2
	low := d.bottom() + float64(lane)*laneHeight - 8
	path := fmt.Sprintf("M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f H%.1f C%.1f %.1f %.1f %.1f %.1f %.1f", x, y,
		x, low-20, x, low, x-20, low, endX+20, endX, low, endX, low-20, endX, endY)
	d.line(r.edge, path)
	d.arrow(r.edge, endX, endY, -90)
	d.labels = append(d.labels, label{(x + endX) / 2, low, r.edge})
}

func (d *drawing) line(e *Edge, path string) {
	dash := ""
	if e.Local != nil && *e.Local == 0 {
		dash = ` stroke-dasharray="7 4"`
	}
	fmt.Fprintf(d, `<path d="%s" fill="none" stroke="%s" stroke-width="%.1f"%s/>`+"\n", path, e.color(), e.thickness(), dash)
}

// thickness grows by a pixel when there are ten times as many calls.
func (e *Edge) thickness() float64 { return min(6, 1.4+math.Log10(1+e.Rate)) }

// arrow draws the head of an edge that ends at (x, y), turned by degrees.
func (d *drawing) arrow(e *Edge, x, y, degrees float64) {
	size := 7 + e.thickness()
	fmt.Fprintf(d, `<path d="M0 0 L%.1f %.1f L%.1f %.1f Z" fill="%s" transform="translate(%.1f %.1f) rotate(%.0f)"/>`+"\n",
		-size, -size/2, -size, size/2, e.color(), x, y, degrees)
}

// spread moves figures that would cover each other apart, downwards.
func (d *drawing) spread() {
	slices.SortStableFunc(d.labels, func(a, b label) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.y, b.y)) })
	for i := range d.labels {
		for j := range i {
			a, b := &d.labels[j], &d.labels[i]
			if math.Abs(a.x-b.x) < gap*.8 && math.Abs(a.y-b.y) < labelHeight {
				b.y = a.y + labelHeight
			}
		}
	}
}

// label draws the figures of an edge on a white ground.
func (d *drawing) label(l label) {
	lines, longest := strings.Split(l.edge.label(), "\n"), 0
	for _, text := range lines {
		longest = max(longest, utf8.RuneCountInString(text))
	}
	width, height := float64(longest)*smallWidth+6, lineHeight*float64(len(lines))+2
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3" fill="#fff" fill-opacity=".92"/>`+"\n",
		l.x-width/2, l.y-height/2, width, height)
	for i, text := range lines {
		fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="11" fill="#1c2833">%s</text>`+"\n",
			l.x, l.y-height/2+lineHeight*float64(i)+10, html.EscapeString(text))
	}
}
