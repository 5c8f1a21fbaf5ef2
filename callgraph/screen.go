package callgraph

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Screen says how to draw an overview.
type Screen struct {
	Now           time.Time
	Width, Height int      // of the terminal; 0: as much as there is
	Color         bool     // mark what needs a look with escape sequences
	Notes         []string // shown at the bottom, such as hosts that do not answer
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// cell is a field of a table and how it stands out.
type cell struct{ text, style string }

func plain(text string) cell { return cell{text: text} }

// Draw returns o as lines of text, none longer than the screen is wide and no more than it is high.
func (s Screen) Draw(o *Overview) []string {
	top := []string{s.title(o), ""}
	hosts := s.table([]string{"<HOST", "<ADDRESS", "<VERSION", "INSTANCES", "CALLS/S", "IN FLIGHT", "CPU", "MEMORY", "LINKS",
		"SNAPSHOT", "TRUST"}, hostRows(o.Hosts))
	functions := s.table([]string{"<FUNCTION", "<RELEASE", "INSTANCES", "CALLS/S", "P50", "P99", "IN FLIGHT", "ERRORS",
		"LOCAL", "REFUSED", "CERTIFICATE"}, functionRows(o.Functions, s.Now))
	notes := make([]string, 0, len(s.Notes))
	for _, n := range s.Notes {
		notes = append(notes, s.line([]cell{{clean(n), yellow}}))
	}
	if s.Height > 0 { // functions get what is left over by the rest, hosts at most a third
		hosts = s.clip(hosts, max(3, s.Height/3))
		notes = s.clip(notes, max(1, s.Height/6))
		functions = s.clip(functions, s.Height-len(top)-len(hosts)-1-len(notes))
	}
	lines := append(append(append(append(top, functions...), ""), hosts...), notes...)
	if s.Height > 0 && len(lines) > s.Height {
		lines = lines[:max(0, s.Height)]
	}
	return lines
}

func (s Screen) title(o *Overview) string {
	rate, instances := 0.0, 0
	for _, f := range o.Functions {
		rate += f.Rate
		instances += f.Instances
	}
	over := "over " + o.Window.Round(100*time.Millisecond).String()
	if o.SinceStart {
		over = "since the hosts started"
	}
	return s.line([]cell{{"countersign", bold}, plain(fmt.Sprintf("  %s  %s, %s, %s, %s calls/s %s",
		s.Now.Format(time.TimeOnly), count(len(o.Functions), "function"), count(instances, "instance"),
		count(len(o.Hosts), "host"), digits(rate), over))})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// functionRows returns the fields of the table of functions.
func functionRows(functions []Function, now time.Time) [][]cell {
	var rows [][]cell
	for _, f := range functions {
		instances := plain(fmt.Sprintf("%d on %d", f.Instances, f.Hosts))
		if f.Instances == 0 {
			instances = cell{"none", red}
		}
		errors := plain(percent(f.Errors))
		if f.Errors > 0 {
			errors.style = red
		}
		refused := plain(fmt.Sprintf("%.0f", f.Refused))
		if f.RefusedNow > 0 {
			refused = cell{fmt.Sprintf("+%.0f %.0f", f.RefusedNow, f.Refused), red}
		}
		certificate := plain("-")
		if !f.Expires.IsZero() {
			certificate = plain(age(f.CertificateAge.Seconds()) + ", " + age(f.Expires.Sub(now).Seconds()) + " left")
			if left := f.Expires.Sub(now); left < (left+f.CertificateAge)/4 { // it should have been renewed at half its life
				certificate.style = red
			}
		}
		rows = append(rows, []cell{{clean(f.Name), bold}, releases(f.Releases), instances, plain(digits(f.Rate)),
			plain(took(f.P50)), plain(took(f.P99)), plain(fmt.Sprint(f.InFlight)), errors, plain(local(f.Local)), refused,
			certificate})
	}
	return rows
}

// releases names the one release that runs, or says how many do.
func releases(all []string) cell {
	switch len(all) {
	case 0:
		return plain("-")
	case 1:
		return plain(clean(all[0]))
	}
	return cell{fmt.Sprintf("%d releases", len(all)), yellow}
}

// The ages from which on something is wrong: a blocking query to Consul ends within minutes, the host reads the trusted
// authorities anew within hours.
const (
	oldSnapshot = 11 * 60
	oldTrust    = 24 * 3600
)

func hostRows(hosts []Host) [][]cell {
	var rows [][]cell
	for _, h := range hosts {
		rows = append(rows, []cell{{clean(h.Node), bold}, plain(clean(h.Address)), plain(clean(h.Version)),
			plain(fmt.Sprint(h.Instances)), plain(digits(h.Rate)), plain(fmt.Sprint(h.InFlight)),
			plain(fmt.Sprintf("%.0f%%", h.CPU*100)), plain(fmt.Sprintf("%.0fMiB", h.Memory/(1<<20))),
			plain(fmt.Sprint(h.Links)), aged(h.SnapshotAge, oldSnapshot), aged(h.TrustAge, oldTrust)})
	}
	return rows
}

// aged writes an age that should not be over limit seconds.
func aged(seconds *float64, limit float64) cell {
	switch {
	case seconds == nil:
		return plain("-")
	case *seconds > limit:
		return cell{age(*seconds), red}
	}
	return plain(age(*seconds))
}

// age writes a number of seconds in its largest unit.
func age(s float64) string {
	switch {
	case math.IsInf(s, 1):
		return "never"
	case s < 0:
		return "-" + age(-s)
	case s < 100:
		return fmt.Sprintf("%.0fs", s)
	case s < 100*60:
		return fmt.Sprintf("%.0fm", s/60)
	case s < 100*3600:
		return fmt.Sprintf("%.0fh", s/3600)
	}
	return fmt.Sprintf("%.0fd", s/86400)
}

// table returns lines with aligned columns. A heading that begins with < is of a column that is aligned left.
func (s Screen) table(headings []string, rows [][]cell) []string {
	widths, left := make([]int, len(headings)), make([]bool, len(headings))
	head := make([]cell, len(headings))
	for i, h := range headings {
		h, left[i] = strings.CutPrefix(h, "<")
		head[i], widths[i] = cell{h, dim}, len(h)
	}
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var lines []string
	for _, row := range append([][]cell{head}, rows...) {
		padded := make([]cell, 0, 2*len(row))
		for i, c := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			if left[i] {
				padded = append(padded, c, plain(space+"  "))
			} else {
				padded = append(padded, plain(space), c, plain("  "))
			}
		}
		lines = append(lines, s.line(padded))
	}
	return lines
}

// line joins cells, cut to the width of the screen.
func (s Screen) line(cells []cell) string {
	var b strings.Builder
	room := s.Width
	if room <= 0 {
		room = math.MaxInt
	}
	for i := len(cells) - 1; i >= 0 && strings.TrimSpace(cells[i].text) == ""; i-- {
		cells = cells[:i]
	}
	for _, c := range cells {
		text := []rune(c.text)
		text = text[:min(room, len(text))]
		room -= len(text)
		if i := len(text); s.Color && c.style != "" && i > 0 {
			b.WriteString(c.style + string(text) + reset)
			continue
		}
		b.WriteString(string(text))
	}
	if s.Color {
		return b.String()
	}
	return strings.TrimRight(b.String(), " ")
}

// clip cuts lines to n, the last of which then says how many are missing.
func (s Screen) clip(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	if n <= 0 {
		return nil
	}
	return append(lines[:n-1:n-1], s.line([]cell{{fmt.Sprintf("… %d more", len(lines)-n+1), dim}}))
}
