package callgraph

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/telemetry"
	"countersign/telemetry/metric"
	"countersign/tests/nobody"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", name, got, want)
	}
}

// host is the real telemetry of a host.
type host struct {
	*telemetry.Telemetry
	address string
}

func newHost(t *testing.T, node string, instances ...telemetry.Instance) host {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Node: node, Version: "v1.2.3", TrustDomain: "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	tel.Gauges(func() telemetry.Gauges {
		return telemetry.Gauges{Instances: instances, TrustBundle: noon, Links: 2,
			Snapshot: &telemetry.Snapshot{Confirmed: time.Now().Add(-3 * time.Second), Services: 4}}
	})
	return host{tel, node + ".example:7070"}
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func (h host) scrape(t *testing.T, taken time.Time) *Scrape {
	t.Helper()
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path, nil))
	s, err := parseScrape(h.address, taken, w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// calls makes n calls that took so long; every failed-th one fails.
func (h host) calls(caller, callee, route string, n, failed int, took time.Duration) {
	for i := range n {
		code := countersign.Code("")
		if failed > 0 && i%failed == 0 {
			code = countersign.CodeFailed
		}
		h.Edge(caller, callee, route).Done(code, took)
	}
}

// shop is two scrapes of two hosts, ten seconds apart, with calls before and between.
func shop(t *testing.T) (before, after []*Scrape) {
	a, b := newHost(t, "a"), newHost(t, "b")
	work := func(times int) {
		a.calls("", "quote", metric.RouteIngress, 240*times, 0, 4*time.Millisecond)
		a.calls("quote", "tax", metric.RouteLocal, 200*times, 0, 80*time.Microsecond)
		a.calls("quote", "tax", metric.RouteRemote, 40*times, 2, 900*time.Microsecond)
		a.calls("quote", "fx", metric.RouteRemote, 240*times, 100, 700*time.Microsecond)
		b.calls("", "orders", metric.RouteIngress, 30*times, 0, 40*time.Millisecond)
		b.calls("orders", "quote", metric.RouteRemote, 30*times, 0, 5*time.Millisecond)
		b.calls("orders", "stock", metric.RouteLocal, 35*times, 0, 300*time.Microsecond)
		b.calls("stock", "audit", metric.RouteLocal, 35*times, 0, 150*time.Microsecond)
		b.calls("tax", "audit", metric.RouteRemote, 12*times, 0, time.Millisecond)
		b.calls("audit", "orders", metric.RouteLocal, 2*times, 0, 2*time.Millisecond) // a circle
		b.calls("audit", "audit", metric.RouteLocal, 1*times, 0, 2*time.Millisecond)
		b.calls("", "notify-customers-by-electronic-mail", metric.RouteIngress, 3*times, 0, 2*time.Second)
	}
	work(3)
	a.calls("quote", "gone", metric.RouteLocal, 7, 0, time.Millisecond) // not within the window
	before = []*Scrape{a.scrape(t, noon), b.scrape(t, noon)}
	work(1)
	return before, []*Scrape{a.scrape(t, noon.Add(10*time.Second)), b.scrape(t, noon.Add(10*time.Second))}
}

// writers are the formats.
var writers = map[string]func(*Graph, io.Writer) error{
	"graph.txt": (*Graph).WriteTable, "graph.json": (*Graph).WriteJSON, "graph.dot": (*Graph).WriteDOT,
	"graph.mermaid": (*Graph).WriteMermaid, "graph.svg": (*Graph).WriteSVG,
}

func TestGraph(t *testing.T) {
	before, after := shop(t)
	for name, write := range writers {
		var b bytes.Buffer
		if err := write(Between(before, after).Graph(), &b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

// edge returns the edge from caller to callee.
func edge(t *testing.T, g *Graph, caller, callee string) Edge {
	t.Helper()
	i := slices.IndexFunc(g.Edges, func(e Edge) bool { return e.Caller == caller && e.Callee == callee })
	if i < 0 {
		t.Fatalf("no edge from %s to %s in %v", caller, callee, g.Edges)
	}
	return g.Edges[i]
}

func TestFigures(t *testing.T) {
	before, after := shop(t)
	g := Between(before, after).Graph()
	tax := edge(t, g, "quote", "tax")
	if tax.Calls != 240 || math.Abs(tax.Rate-24) > 1e-9 || math.Abs(tax.Errors-20.0/240) > 1e-9 ||
		tax.Local == nil || math.Abs(*tax.Local-200.0/240) > 1e-9 {
		t.Errorf("quote → tax: %+v", tax)
	}
	// 200 of 240 observations lie between 50 and 100 µs, 40 between 500 µs and 1 ms.
	if want := 80 * time.Microsecond; tax.P50 != want {
		t.Errorf("p50 %v; want %v", tax.P50, want)
	}
	if want := 970 * time.Microsecond; (tax.P99 - want).Abs() > time.Microsecond {
		t.Errorf("p99 %v; want %v", tax.P99, want)
	}
	if in := edge(t, g, metric.Outside, "quote"); in.Local != nil {
		t.Errorf("calls from outside have the local share %v", *in.Local)
	}
	if g.Seconds != 10 || g.Hosts != 2 || g.SinceStart {
		t.Errorf("window: %v s of %d hosts, since start: %v", g.Seconds, g.Hosts, g.SinceStart)
	}
}

// TestTotal: since the start, rates are over the life of each host.
func TestTotal(t *testing.T) {
	_, after := shop(t)
	for _, s := range after {
		s.started = s.Taken.Add(-100 * time.Second)
	}
	g := Total(after).Graph()
	if e := edge(t, g, "quote", "tax"); e.Calls != 960 || math.Abs(e.Rate-9.6) > 1e-9 || !g.SinceStart {
		t.Errorf("quote → tax: %+v", e)
	}
	edge(t, g, "quote", "gone")
}

// TestRestart: a host that restarted counts from its start; one without a first scrape does not count; one that started
// within the window does.
func TestRestart(t *testing.T) {
	before, after := shop(t)
	tax := func(w Window) Edge { return edge(t, w.Graph(), "quote", "tax") }
	after[0].started = noon.Add(6 * time.Second)
	if e := tax(Between(before, after)); e.Calls != 960 || e.Rate != 240 {
		t.Errorf("after a restart: %+v", e)
	}
	if e := tax(Between(before[1:], after)); e.Calls != 960 || e.Rate != 240 {
		t.Errorf("of a new host: %+v", e)
	}
	after[0].started = noon.Add(-time.Hour)
	g := Between(before[1:], after).Graph()
	if slices.ContainsFunc(g.Edges, func(e Edge) bool { return e.Callee == "tax" }) || len(g.Edges) == 0 {
		t.Errorf("of a host that was not seen before: %v", g.Edges)
	}
}

// TestEmpty: a graph without calls can be written in every format.
func TestEmpty(t *testing.T) {
	g := Between(nil, nil).Graph()
	for name, write := range writers {
		var b bytes.Buffer
		if err := write(g, &b); err != nil || b.Len() == 0 {
			t.Errorf("%s: %v: %q", name, err, b.String())
		}
	}
}

// TestEscapes: names that no function has do no harm in any format.
func TestEscapes(t *testing.T) {
	h := newHost(t, "a")
	bad := "a\"b\\c<d>&e\x1b[31m\n#;|`x"
	h.calls(bad, "quote", metric.RouteLocal, 1, 0, time.Millisecond)
	g := Total([]*Scrape{h.scrape(t, time.Now())}).Graph()
	for name, write := range writers {
		var b bytes.Buffer
		if err := write(g, &b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s holds an escape character", name)
		}
		switch name {
		case "graph.svg":
			if err := wellFormed(b.Bytes()); err != nil {
				t.Errorf("SVG: %v", err)
			}
		case "graph.json":
			var back Graph
			if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Edges[0].Caller != bad {
				t.Errorf("JSON: %v: %+v", err, back)
			}
		case "graph.dot":
			if want := `"a\"b\\c<d>&e` + "\uFFFD" + `[31m\n#;|` + "`x\""; !strings.Contains(b.String(), want) {
				t.Errorf("DOT: %s", b.String())
			}
		case "graph.mermaid":
			if want := `a#34;b#92;c#60;d#62;#38;e#27;[31m<br>#35;#59;#124;#96;x`; !strings.Contains(b.String(), want) {
				t.Errorf("Mermaid: %s", b.String())
			}
		case "graph.txt":
			if n := strings.Count(b.String(), "\n"); n != 2 {
				t.Errorf("the table has %d lines", n)
			}
		}
	}
}

func wellFormed(doc []byte) error {
	d := xml.NewDecoder(bytes.NewReader(doc))
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// TestFetch asks a host, one that refuses and one that is not there.
func TestFetch(t *testing.T) {
	good := httptest.NewServer(newHost(t, "a").Handler())
	defer good.Close()
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{1") }))
	defer garbage.Close()
	addresses := []string{nobody.Listens(t)}
	for _, s := range []*httptest.Server{good, refusing, garbage} {
		addresses = append(addresses, s.Listener.Addr().String())
	}
	scrapes, errs := Fetch(t.Context(), http.DefaultClient, addresses)
	if len(scrapes) != 1 || scrapes[0].Host != addresses[1] || scrapes[0].started.IsZero() {
		t.Errorf("scrapes: %v", scrapes)
	}
	if len(errs) != 3 {
		t.Fatalf("errors: %v", errs)
	}
	for i, want := range []string{"refused", "404", "read the metrics"} {
		var unreachable *HostError
		if !errors.As(errs[i], &unreachable) || !strings.Contains(errs[i].Error(), want) {
			t.Errorf("error %d: %v; want %q", i, errs[i], want)
		}
	}
}

// TestQuantile compares with what Prometheus' histogram_quantile gives by its documentation.
func TestQuantile(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		l    latency
		q    float64
		want time.Duration
	}{
		{latency{}, .5, 0},
		{latency{1: 0, inf: 0}, .5, 0},
		{latency{1: 10, 2: 10, inf: 10}, .5, 500 * time.Millisecond},
		{latency{1: 10, 2: 20, inf: 20}, .75, 1500 * time.Millisecond},
		{latency{1: 10, 2: 20, inf: 20}, .5, time.Second},
		{latency{1: 0, 2: 0, inf: 5}, .99, 2 * time.Second},
	} {
		if got := c.l.quantile(c.q); got != c.want {
			t.Errorf("%v of %v is %v; want %v", c.q, c.l, got, c.want)
		}
	}
}
