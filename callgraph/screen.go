package callgraph

import (
	"fmt"
	"math"
	"slices"
	"time"

	"countersign/terminal"
)

// Screen says how to draw an overview: what its tables show, and what stands out.
type Screen struct {
	Now           time.Time
	Width, Height int      // of the terminal; 0: as much as there is
	Color         bool     // mark what needs a look with escape sequences
	Notes         []string // shown at the bottom, such as hosts that do not answer
}

type cell = terminal.Cell

func plain(text string) cell { return cell{Text: text} }

func styled(text string, style terminal.Style) cell { return cell{Text: text, Style: style} }

// Draw returns o as lines of text, none longer than the screen is wide and no more than it is high.
func (s Screen) Draw(o *Overview) []string {
	page := terminal.Page{Width: s.Width, Color: s.Color}
	top := []string{page.Line(s.title(o)...), ""}
	// A narrow terminal loses what is looked at least.
	hosts := page.Fit([]string{"<HOST", "<ADDRESS", "<VERSION", "INSTANCES", "CALLS/S", "IN FLIGHT", "CPU", "MEMORY", "LINKS",
		"SNAPSHOT", "TRUST"}, hostRows(o.Hosts), "VERSION", "LINKS", "TRUST", "SNAPSHOT", "IN FLIGHT", "ADDRESS", "MEMORY", "CPU")
	functions := page.Fit([]string{"<FUNCTION", "<RELEASE", "INSTANCES", "CALLS/S", "P50", "P99", "IN FLIGHT", "ERRORS",
		"LOCAL", "REFUSED", "CERTIFICATE"}, functionRows(o.Functions, s.Now), "LOCAL", "CERTIFICATE", "P50", "RELEASE", "REFUSED",
		"IN FLIGHT", "P99")
	notes := make([]string, 0, len(s.Notes))
	for _, n := range s.notes(o) {
		notes = append(notes, page.Line(styled(n, terminal.Yellow)))
	}
	if s.Height > 0 { // functions get what is left over by the rest, hosts at most a third
		hosts = page.Clip(hosts, max(3, s.Height/3))
		notes = page.Clip(notes, max(1, s.Height/6))
		functions = page.Clip(functions, s.Height-len(top)-len(hosts)-1-len(notes))
	}
	lines := append(append(append(append(top, functions...), ""), hosts...), notes...)
	if s.Height > 0 && len(lines) > s.Height {
		lines = lines[:max(0, s.Height)]
	}
	return lines
}

func (s Screen) title(o *Overview) []cell {
	rate, instances, hosts := 0.0, 0, 0
	for _, h := range o.Hosts {
		if !h.Silent {
			hosts++
		}
	}
	for _, f := range o.Functions {
		rate += f.Rate
		instances += f.Instances
	}
	over := "over " + o.Window.Round(100*time.Millisecond).String()
	if o.SinceStart {
		over = "since the hosts started"
	}
	full := fmt.Sprintf("  %s  %s, %s, %s, %s calls/s %s", s.Now.Format(time.TimeOnly), count(len(o.Functions), "function"),
		count(instances, "instance"), count(hosts, "host"), digits(rate), over)
	name := "countersign"
	if s.Width > 0 && len(name+full) > s.Width {
		return []cell{plain(fmt.Sprintf("%s  %s, %s, %s calls/s %s", s.Now.Format(time.TimeOnly),
			count(len(o.Functions), "function"), count(hosts, "host"), digits(rate), over))}
	}
	return []cell{styled(name, terminal.Bold), plain(full)}
}

// notes returns what is shown at the bottom.
func (s Screen) notes(o *Overview) []string {
	if o.Stray == 0 {
		return s.Notes
	}
	return append(slices.Clone(s.Notes), fmt.Sprintf("%.0f refused calls named functions that do not run", o.Stray))
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
			instances = styled("none", terminal.Red)
		}
		errors := plain(percent(f.Errors))
		if f.Errors > 0 {
			errors.Style = terminal.Red
		}
		refused := plain(fmt.Sprintf("%.0f", f.Refused))
		if f.RefusedNow > 0 {
			refused = styled(fmt.Sprintf("%.0f +%.0f", f.Refused, f.RefusedNow), terminal.Red)
		}
		certificate := plain("-")
		if !f.Expires.IsZero() {
			certificate = plain(age(f.CertificateAge.Seconds()) + ", " + age(f.Expires.Sub(now).Seconds()) + " left")
			if left := f.Expires.Sub(now); left < (left+f.CertificateAge)/4 { // it should have been renewed at half its life
				certificate.Style = terminal.Red
			}
		}
		rows = append(rows, []cell{styled(f.Name, terminal.Bold), releases(f.Releases), instances, plain(digits(f.Rate)),
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
		return plain(all[0])
	}
	return styled(fmt.Sprintf("%d releases", len(all)), terminal.Yellow)
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
		if h.Silent {
			rows = append(rows, []cell{styled(h.Node, terminal.Bold), plain(h.Address), plain("-"), styled("no answer", terminal.Red),
				plain("-"), plain("-"), plain("-"), plain("-"), plain("-"), plain("-"), plain("-")})
			continue
		}
		rows = append(rows, []cell{styled(h.Node, terminal.Bold), plain(h.Address), plain(h.Version),
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
		return styled(age(*seconds), terminal.Red)
	}
	return plain(age(*seconds))
}

// age writes a number of seconds in its largest unit.
func age(s float64) string {
	switch {
	case math.IsInf(s, 1):
		return "none yet"
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
