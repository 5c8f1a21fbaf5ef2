package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"countersign"
	"countersign/telemetry/metric"
)

func newTelemetry(t testing.TB) *Telemetry {
	t.Helper()
	tel, err := New(t.Context(), Config{Node: "n1", Version: "v1", TrustDomain: "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

// scrape reads the metrics as Prometheus does.
func scrape(t testing.TB, tel *Telemetry) map[string]*dto.MetricFamily {
	t.Helper()
	server := httptest.NewServer(tel.Handler())
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v: %s", resp.Status, err, body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("parse the scrape: %v", err)
	}
	return families
}

// value returns the value of the one series with these labels ("name", "value", …), or NaN. Of a histogram it is the
// number of observations.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	for _, m := range families[name].GetMetric() {
		got := map[string]string{}
		for _, l := range m.GetLabel() {
			got[l.GetName()] = l.GetValue()
		}
		matches := len(got) == len(labels)/2
		for i := 0; i < len(labels); i += 2 {
			matches = matches && got[labels[i]] == labels[i+1]
		}
		if matches {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return math.NaN()
}

func TestMetrics(t *testing.T) {
	tel := newTelemetry(t)
	now := time.Now()
	tel.Gauges(func() Gauges {
		return Gauges{
			Instances: []Instance{{"quote", "a1", "r1", now.Add(-time.Minute), now.Add(time.Hour)},
				{"quote", "a2", "r1", time.Time{}, time.Time{}}},
			TrustBundle: now.Add(-2 * time.Minute), Snapshot: &Snapshot{now.Add(-3 * time.Second), 7},
			ReplayEntries: 12, Links: 3,
			Attested: []Attested{{"quote", "a1", 1, 3, 2}, {"quote", "a2", 2, 2, 1}},
		}
	})
	tel.Edge("", "quote", RouteIngress).Done("", 3*time.Millisecond)
	tel.Edge("quote", "tax", RouteLocal).Done("", 100*time.Microsecond)
	tel.Edge("quote", "tax", RouteLocal).Done(countersign.CodeDeadline, time.Second)
	tel.Edge("quote", "tax", RouteRemote).Done("from_the_future", time.Second)
	served := tel.Served("quote", "r1")
	served.Begin()
	served.Begin()
	served.End(countersign.CodeFailed)
	tel.Refused("quote", SideIngress, "replayed")
	tel.Chose("tax", true)
	tel.Chose("tax", false)
	tel.Chose("tax", false)
	tel.Retried("tax", "unavailable")
	tel.Ejected("tax")
	tel.Handshake("ok")
	tel.spanEnds.get(labels{"exported"}).Add(1)

	families := scrape(t, tel)
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, metric.Calls, []string{"caller", "outside", "callee", "quote", "route", "ingress", "code", "ok"}},
		{1, metric.Calls, []string{"caller", "quote", "callee", "tax", "route", "local", "code", "ok"}},
		{1, metric.Calls, []string{"caller", "quote", "callee", "tax", "route", "local", "code", "deadline_exceeded"}},
		{1, metric.Calls, []string{"caller", "quote", "callee", "tax", "route", "remote", "code", "other"}},
		{0, metric.Calls, []string{"caller", "quote", "callee", "tax", "route", "remote", "code", "ok"}},
		{2, metric.CallDuration, []string{"caller", "quote", "callee", "tax", "route", "local"}},
		{1, metric.ServedCalls, []string{"function", "quote", "release", "r1", "code", "failed"}},
		{1, metric.CallsInFlight, []string{"function", "quote", "release", "r1"}},
		{1, metric.Refusals, []string{"function", "quote", "side", "ingress", "reason", "replayed"}},
		{1, metric.RouteChoices, []string{"callee", "tax", "choice", "local"}},
		{2, metric.RouteChoices, []string{"callee", "tax", "choice", "remote"}},
		{1, metric.RouteRetries, []string{"callee", "tax", "reason", "unavailable"}},
		{1, metric.Ejections, []string{"callee", "tax"}},
		{1, metric.Handshakes, []string{"result", "ok"}},
		{1, metric.Spans, []string{"result", "exported"}},
		{1, metric.HostInfo, []string{"node", "n1", "version", "v1", "trust_domain", "example.org"}},
		{2, metric.Instances, []string{"function", "quote", "release", "r1"}},
		{60, metric.CertificateAge, []string{"function", "quote", "allocation", "a1"}},
		{float64(now.Add(time.Hour).Unix()), metric.CertificateExpiry, []string{"function", "quote", "allocation", "a1"}},
		{1, metric.AttestedVersion, []string{"function", "quote", "allocation", "a1"}},
		{2, metric.AttestedVersion, []string{"function", "quote", "allocation", "a2"}},
		{3, metric.LatestVersion, []string{"function", "quote"}},
		{2, metric.MinVersion, []string{"function", "quote"}},
		{120, metric.TrustBundleAge, nil},
		{3, metric.SnapshotAge, nil},
		{7, metric.SnapshotServices, nil},
		{12, metric.ReplayEntries, nil},
		{3, metric.Links, nil},
	} {
		if got := value(families, c.name, c.labels...); !(math.Abs(got-c.want) < 2) || (c.want < 60 && math.Round(got) != c.want) {
			t.Errorf("%s%v = %v; want %v", c.name, c.labels, got, c.want)
		}
	}
	checkFamilies(t, families)
}

// checkFamilies compares what is served with the table: type, help and labels of each metric, all of them and no other.
func checkFamilies(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	for _, m := range metric.All() {
		f := families[m.Name]
		if f == nil {
			t.Errorf("%s is not served", m.Name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != m.Type || f.GetHelp() != m.Help {
			t.Errorf("%s is a %s: %s; the table says %s: %s", m.Name, got, f.GetHelp(), m.Type, m.Help)
		}
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		slices.Sort(m.Labels)
		if !slices.Equal(names, m.Labels) {
			t.Errorf("%s has the labels %q; the table says %q", m.Name, names, m.Labels)
		}
		delete(families, m.Name)
	}
	for name := range families {
		if strings.HasPrefix(name, "countersign_") {
			t.Errorf("%s is served and not in the table", name)
		}
	}
	if families["go_goroutines"] == nil || families["process_start_time_seconds"] == nil {
		t.Error("the metrics of the Go runtime or of the process are not served")
	}
}

// TestNothingKnownYet: what never was is infinitely old, so that alerts fire; what does not apply is absent.
func TestNothingKnownYet(t *testing.T) {
	tel := newTelemetry(t)
	if families := scrape(t, tel); families[metric.TrustBundleAge] != nil {
		t.Error("ages are served before there is a state")
	}
	tel.Gauges(func() Gauges { return Gauges{} })
	families := scrape(t, tel)
	if got := value(families, metric.TrustBundleAge); !math.IsInf(got, 1) {
		t.Errorf("age of a trust bundle that was never read: %v", got)
	}
	if families[metric.SnapshotAge] != nil {
		t.Error("a host without Consul has a snapshot age")
	}
	tel.Gauges(func() Gauges { return Gauges{Snapshot: &Snapshot{}} })
	if got := value(scrape(t, tel), metric.SnapshotAge); !math.IsInf(got, 1) {
		t.Errorf("age of a snapshot that never was: %v", got)
	}
}

func TestBuckets(t *testing.T) {
	tel := newTelemetry(t)
	h := tel.Edge("a", "b", RouteLocal)
	for _, took := range []time.Duration{50 * time.Microsecond, 51 * time.Microsecond, 30 * time.Second, time.Minute} {
		h.Done("", took)
	}
	got := map[float64]uint64{}
	for _, b := range scrape(t, tel)[metric.CallDuration].GetMetric()[0].GetHistogram().GetBucket() {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	want := map[float64]uint64{.00005: 1, .0001: 2, 10: 2, 30: 3, math.Inf(1): 4}
	for bound, n := range want {
		if got[bound] != n {
			t.Errorf("%d observations up to %v s; want %d", got[bound], bound, n)
		}
	}
	if len(got) != len(buckets)+1 {
		t.Errorf("%d buckets; want %d and +Inf", len(got), len(buckets))
	}
}

// TestBounded makes more label sets than are kept apart, and some that cannot be labels.
func TestBounded(t *testing.T) {
	tel := newTelemetry(t)
	if tel.edges.max != MaxSeries || tel.refusals.max != MaxSeries || tel.served.max != MaxSeries {
		t.Error("there is another bound than the documented one")
	}
	const bound = 64
	tel.edges.max, tel.refusals.max, tel.choices.max, tel.served.max = bound, bound, bound, bound
	for i := range bound + 100 {
		name := fmt.Sprintf("f%d", i)
		tel.Edge(name, "quote", RouteRemote).Done("", time.Millisecond)
		tel.Refused(name, SideIngress, "unsigned")
		tel.Chose(name, true)
		tel.Served(name, "r").End("")
	}
	for _, bad := range []string{"\xff", strings.Repeat("x", 1000)} {
		tel.Edge(bad, bad, RouteIngress).Done("", time.Millisecond)
		tel.Refused(bad, SideIngress, bad)
		tel.Chose(bad, true)
	}
	families := scrape(t, tel)
	for _, name := range []string{metric.Calls, metric.Refusals, metric.RouteChoices, metric.ServedCalls} {
		if n := len(families[name].GetMetric()); n > 2*bound+4 || n < bound {
			t.Errorf("%s has %d series", name, n)
		}
	}
	if got := value(families, metric.Calls, "caller", Other, "callee", Other, "route", RouteRemote, "code", "ok"); got != 100 {
		t.Errorf("%v calls are counted under other; want 100", got)
	}
	if got := value(families, metric.Calls, "caller", Other, "callee", Other, "route", RouteIngress, "code", "ok"); got != 2 {
		t.Errorf("%v calls with names that cannot be labels; want 2", got)
	}
	if got := value(families, metric.Refusals, "function", Other, "side", SideIngress, "reason", Other); got != 2 {
		t.Errorf("%v refusals with names that cannot be labels; want 2", got)
	}
}

// TestEndedReleases: the series of a release go ten minutes after its last instance, and not while a call runs.
func TestEndedReleases(t *testing.T) {
	tel := newTelemetry(t)
	tel.Served("quote", "old").End("")
	tel.Served("quote", "new").End("")
	busy := tel.Served("quote", "busy")
	busy.Begin()
	running, now := []Instance{{Function: "quote", Release: "new"}}, time.Now()
	there := func(release string) bool {
		return !math.IsNaN(value(scrape(t, tel), metric.ServedCalls, "function", "quote", "release", release, "code", "ok"))
	}
	tel.dropEnded(running, now.Add(keepEnded-time.Second))
	if !there("old") {
		t.Error("a release is dropped before a scraper could read the last of it")
	}
	tel.dropEnded(running, now.Add(keepEnded+time.Second))
	if there("old") || !there("new") || !there("busy") {
		t.Errorf("after ten minutes: old %v, new %v, busy %v", there("old"), there("new"), there("busy"))
	}
	busy.End("")
	tel.dropEnded(running, now.Add(3*keepEnded))
	if there("busy") || !there("new") {
		t.Errorf("after the call: busy %v, new %v", there("busy"), there("new"))
	}
	if got := value(scrape(t, tel), metric.CallsInFlight, "function", "quote", "release", "busy"); !math.IsNaN(got) {
		t.Errorf("a release that ended has %v calls in flight", got)
	}
	tel.Served("quote", "old").End("")
	if !there("old") {
		t.Error("a release that came back is not counted")
	}
}

func TestOnlyGet(t *testing.T) {
	w := httptest.NewRecorder()
	newTelemetry(t).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST is answered with %d", w.Code)
	}
}

// TestConcurrent is for the race detector: handles are made and used while metrics are read.
func TestConcurrent(t *testing.T) {
	tel := newTelemetry(t)
	tel.Gauges(func() Gauges { return Gauges{} })
	const workers, calls = 4, 200
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range calls {
				tel.Edge("a", fmt.Sprintf("f%d", i%7), RouteLocal).Done(codes[i%len(codes)], time.Millisecond)
				s := tel.Served("a", fmt.Sprint(i%5))
				s.Begin()
				s.End("")
			}
		})
	}
	scrape(t, tel)
	wg.Wait()
	sum := 0.0
	for _, m := range scrape(t, tel)[metric.Calls].GetMetric() {
		sum += m.GetCounter().GetValue()
	}
	if sum != workers*calls {
		t.Errorf("%v calls are counted; want %d", sum, workers*calls)
	}
}

// TestCodes holds the codes to the documentation, which has all of them.
func TestCodes(t *testing.T) {
	doc, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllSubmatch(doc, -1)
	if len(rows) != len(codes)-2 {
		t.Errorf("docs/errors.md has %d codes; %d are counted", len(rows), len(codes)-2)
	}
	for _, row := range rows {
		if code := countersign.Code(row[1]); codes[index(code)] != code {
			t.Errorf("%s is counted as %s", code, codes[index(code)])
		}
	}
}

// TestNoAllocation: counting a call allocates nothing.
func TestNoAllocation(t *testing.T) {
	tel := newTelemetry(t)
	hop, served := tel.Edge("quote", "tax", RouteLocal), tel.Served("tax", "r1")
	for name, f := range map[string]func(){
		"Hop":              func() { tel.Edge("quote", "tax", RouteLocal) },
		"Hop from outside": func() { tel.Edge("", "tax", RouteIngress) },
		"Done":             func() { hop.Done("", time.Millisecond) },
		"Done with a code": func() { hop.Done(countersign.CodeFailed, time.Millisecond) },
		"Served":           func() { tel.Served("tax", "r1").Begin(); served.End("") },
		"Refused":          func() { tel.Refused("tax", SideCallee, "replayed") },
		"Chose":            func() { tel.Chose("tax", true) },
		"Retried":          func() { tel.Retried("tax", "unavailable") },
		"Ejected":          func() { tel.Ejected("tax") },
		"Handshake":        func() { tel.Handshake("ok") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkHop(b *testing.B) {
	tel := newTelemetry(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tel.Edge("quote", "tax", RouteLocal).Done("", time.Millisecond)
		}
	})
}

func BenchmarkHopDone(b *testing.B) {
	hop := newTelemetry(b).Edge("quote", "tax", RouteLocal)
	b.ReportAllocs()
	for b.Loop() {
		hop.Done("", time.Millisecond)
	}
}

func BenchmarkServed(b *testing.B) {
	s := newTelemetry(b).Served("quote", "r1")
	b.ReportAllocs()
	for b.Loop() {
		s.Begin()
		s.End("")
	}
}
