package callgraph

import (
	"context"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"countersign"
	"countersign/telemetry"
	"countersign/telemetry/metric"
)

// shopOverview has all that a screen can show.
func shopOverview() *Overview {
	half, all, fresh, never := .5, 1.0, 2.0, math.Inf(1)
	return &Overview{
		Window: 2 * time.Second,
		Functions: []Function{
			{Name: "fx", Releases: []string{"3aa211994e4b"}, Instances: 2, Hosts: 2, Rate: 12.5, P50: 700 * time.Microsecond,
				P99: 2 * time.Millisecond, InFlight: 1, Local: &half, CertificateAge: 20 * time.Minute,
				Expires: noon.Add(40 * time.Minute)},
			{Name: "quote", Releases: []string{"3aa211994e4b", "7bd1c0ffee00"}, Instances: 3, Hosts: 2, Rate: 1234, P50: time.Second,
				P99: 30 * time.Second, InFlight: 17, Errors: .0625, Refused: 12, RefusedNow: 2, CertificateAge: 50 * time.Minute,
				Expires: noon.Add(10 * time.Minute)},
			{Name: "tax\x1b[2J", Local: &all},
		},
		Hosts: []Host{
			{Address: "10.0.0.1:7070", Node: "node-1", Version: "v0.3.0", Instances: 3, Rate: 800, InFlight: 12, CPU: .83,
				Memory: 210 << 20, Links: 4, SnapshotAge: &fresh, TrustAge: &fresh},
			{Address: "10.0.0.2:7070", Node: "node-2", Version: "v0.3.0", Instances: 2, Rate: 446.5, InFlight: 6, CPU: 1.2,
				Memory: 95 << 20, Links: 4, TrustAge: &never},
		},
	}
}

func TestScreen(t *testing.T) {
	notes := []string{"left out: metrics of 10.0.0.3:7070: connection refused"}
	for name, s := range map[string]Screen{
		"top.txt":    {},
		"color.txt":  {Width: 120, Height: 40, Color: true},
		"narrow.txt": {Width: 60, Height: 12},
	} {
		s.Now, s.Notes = noon, notes
		lines := s.Draw(shopOverview())
		golden(t, name, []byte(strings.Join(lines, "\n")+"\n"))
		for _, line := range lines {
			plain := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(line, "")
			if s.Width > 0 && utf8.RuneCountInString(plain) > s.Width || strings.Contains(plain, "\x1b") {
				t.Errorf("%s: the line %q is too long, or holds an escape sequence of somebody else", name, line)
			}
		}
	}
}

// TestSmallScreens: on no size a line is too long or there are too many, not even without anything to show.
func TestSmallScreens(t *testing.T) {
	for _, o := range []*Overview{shopOverview(), {}} {
		for height := 1; height < 30; height++ {
			for _, width := range []int{1, 7, 40} {
				lines := Screen{Now: noon, Width: width, Height: height, Notes: []string{"a", "b", "c"}}.Draw(o)
				if len(lines) > height {
					t.Errorf("%d lines on a screen of %d", len(lines), height)
				}
				for _, line := range lines {
					if utf8.RuneCountInString(line) > width {
						t.Errorf("%q is wider than %d", line, width)
					}
				}
			}
		}
	}
}

func TestOverview(t *testing.T) {
	at := time.Now() // certificates have an age by the host's clock
	issued, expires := at.Add(-time.Minute), at.Add(time.Hour).Truncate(time.Second)
	a := newHost(t, "a", telemetry.Instance{Function: "tax", Allocation: "1", Release: "r1", Issued: issued, Expires: expires},
		telemetry.Instance{Function: "tax", Allocation: "2", Release: "r2"})
	b := newHost(t, "b", telemetry.Instance{Function: "tax", Allocation: "3", Release: "r1", Issued: at,
		Expires: expires.Add(time.Hour)})
	serve := func(h host, n int, code countersign.Code) {
		for range n {
			s := h.Served("tax", "r1")
			s.Begin()
			s.End(code)
		}
	}
	serve(a, 100, "")
	a.Refused("tax", telemetry.SideCallee, "replayed")
	before := []*Scrape{a.scrape(t, at), b.scrape(t, at)}
	serve(a, 20, "")
	serve(b, 10, "")
	serve(b, 10, countersign.CodePanicked)
	b.Served("tax", "r1").Begin()
	a.calls("quote", "tax", metric.RouteLocal, 30, 0, 80*time.Microsecond)
	a.calls("quote", "tax", metric.RouteRemote, 10, 0, 80*time.Microsecond)
	b.Refused("tax", telemetry.SideIngress, "unsigned")
	later := at.Add(4 * time.Second)
	o := Between(before, []*Scrape{b.scrape(t, later), a.scrape(t, later)}).Overview()
	if len(o.Functions) != 1 || len(o.Hosts) != 2 || o.Window != 4*time.Second {
		t.Fatalf("overview: %+v", o)
	}
	f := o.Functions[0]
	if f.Name != "tax" || strings.Join(f.Releases, " ") != "r1 r2" || f.Instances != 3 || f.Hosts != 2 || f.Rate != 10 ||
		f.InFlight != 1 || f.Errors != .25 || *f.Local != .75 || f.Refused != 2 || f.RefusedNow != 1 {
		t.Errorf("tax: %+v", f)
	}
	if f.P50 != 75*time.Microsecond || f.CertificateAge.Round(10*time.Second) != time.Minute || !f.Expires.Equal(expires) {
		t.Errorf("tax: %+v", f)
	}
	if h := o.Hosts[0]; h.Node != "a" || h.Version != "v1.2.3" || h.Address != a.address || h.Instances != 2 || h.Rate != 5 ||
		h.Links != 2 || h.Memory == 0 || h.SnapshotAge == nil || math.Round(*h.SnapshotAge) != 3 {
		t.Errorf("host a: %+v", h)
	}
	if h := o.Hosts[1]; h.Rate != 5 || h.InFlight != 1 {
		t.Errorf("host b: %+v", h)
	}
}

// TestNoPhantoms: a call that is refused may name anything, and counters outlive a function. Neither makes a row.
func TestNoPhantoms(t *testing.T) {
	at := time.Now()
	a := newHost(t, "a", telemetry.Instance{Function: "tax", Allocation: "1", Release: "r1"})
	ended := a.Served("ended", "r1")
	ended.Begin()
	ended.End("")
	a.Refused("ended", telemetry.SideCallee, "replayed")
	before := []*Scrape{a.scrape(t, at)}
	a.Refused("made-up", telemetry.SideIngress, "unsigned")
	a.calls("quote", "gone", metric.RouteRemote, 3, 1, time.Millisecond)
	o := Between(before, []*Scrape{a.scrape(t, at.Add(time.Second))}).Overview()
	var names []string
	for _, f := range o.Functions {
		names = append(names, f.Name)
	}
	if strings.Join(names, " ") != "gone tax" || o.Stray != 1 { // gone is called, and nothing answers
		t.Errorf("rows %v, %v stray refusals; want gone and tax, and 1", names, o.Stray)
	}
	if lines := strings.Join((Screen{Now: at}).Draw(o), "\n"); !strings.Contains(lines, "1 refused calls named") {
		t.Errorf("the screen does not tell of the refused call:\n%s", lines)
	}
}

// TestSilentHost: a host that does not answer stays where it was, and says so.
func TestSilentHost(t *testing.T) {
	last := shopOverview()
	now := *last
	now.Hosts = last.Hosts[:1]
	lost := []error{&HostError{"10.0.0.2:7070", context.DeadlineExceeded}, &HostError{"10.0.0.9:7070", context.DeadlineExceeded}}
	o := now.Without(lost, last)
	if len(o.Hosts) != 3 || o.Hosts[0].Node != "?" || o.Hosts[1].Silent || o.Hosts[2].Node != "node-2" || !o.Hosts[2].Silent {
		t.Errorf("hosts %+v", o.Hosts)
	}
	for _, width := range []int{0, 60} {
		lines := strings.Join((Screen{Now: noon, Width: width}).Draw(o), "\n")
		if !regexp.MustCompile("(?m)^node-2 .*no answer").MatchString(lines) {
			t.Errorf("%d columns:\n%s", width, lines)
		}
	}
	if again := o.Without(lost, o); len(again.Hosts) != 3 || again.Hosts[2].Node != "node-2" || len(now.Hosts) != 1 {
		t.Errorf("hosts %+v", again.Hosts)
	}
}
