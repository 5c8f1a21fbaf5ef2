package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"countersign"
	"countersign/telemetry/metric"
)

// span is a span as a receiver knows it, with the attributes of its resource.
type span struct {
	*tracepb.Span
	attrs, resource map[string]string
}

// receiver is an OTLP/HTTP receiver.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	header http.Header // of the last export
	path   string
	status int // to answer with; 0: OK
}

func newReceiver(t *testing.T, start func(http.Handler) *httptest.Server) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.export(req); err != nil {
			t.Errorf("an export that is none: %v", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status != 0 {
			w.WriteHeader(r.status)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) export(req *http.Request) error {
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(req.Body)
		if err != nil {
			return err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var export collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &export); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header, r.path = req.Header, req.URL.Path
	for _, rs := range export.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans = append(r.spans, span{s, attributes(s.Attributes), attributes(rs.Resource.Attributes)})
			}
		}
	}
	return nil
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

// one returns the one span of function and kind.
func (r *receiver) one(t *testing.T, function string, kind tracepb.Span_SpanKind) span {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []span
	for _, s := range r.spans {
		if s.Name == function && s.Kind == kind {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans of kind %v for %s; want 1", len(found), kind, function)
	}
	return found[0]
}

func traced(t *testing.T, node string, otlp OTLP, log *slog.Logger) *Telemetry {
	t.Helper()
	tel, err := New(t.Context(), Config{Node: node, Version: "v1", TrustDomain: "example.org", OTLP: otlp, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flush(t, tel) })
	return tel
}

func flush(t *testing.T, tel *Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

const outsideTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestTrace follows a call from outside through two hosts: quote on the first calls tax on the second.
func TestTrace(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	otlp := OTLP{Endpoint: r.URL, Headers: map[string]string{"Authorization": "Bearer example"}}
	first, second := traced(t, "n1", otlp, nil), traced(t, "n2", otlp, nil)

	ctx, in := first.Start(t.Context(), "00-"+outsideTrace+"-00f067aa0ba902b7-01", Server, "quote", Caller(""),
		Route(RouteIngress), Allocation("a1"), Release("r1"), Node("n1"), Call("c1"))
	_, out := first.Start(ctx, in.Traceparent(), Client, "tax", Caller("quote"), Route(RouteRemote))
	_, served := second.Start(t.Context(), out.Traceparent(), Server, "tax", Caller("quote"), Route(RouteRemote))
	served.End(countersign.CodeFailed)
	out.End(countersign.CodeFailed, Allocation("b1"), Node("n2"))
	in.End("")
	flush(t, first)
	flush(t, second)

	ingress, client, callee := r.one(t, "quote", tracepb.Span_SPAN_KIND_SERVER),
		r.one(t, "tax", tracepb.Span_SPAN_KIND_CLIENT), r.one(t, "tax", tracepb.Span_SPAN_KIND_SERVER)
	for _, s := range []span{ingress, client, callee} {
		if got := fmt.Sprintf("%x", s.TraceId); got != outsideTrace {
			t.Errorf("%s is in trace %s; want %s", s.Name, got, outsideTrace)
		}
	}
	if got := fmt.Sprintf("%x", ingress.ParentSpanId); got != "00f067aa0ba902b7" {
		t.Errorf("parent of the call from outside: %s", got)
	}
	if !bytes.Equal(client.ParentSpanId, ingress.SpanId) || !bytes.Equal(callee.ParentSpanId, client.SpanId) {
		t.Errorf("parents: %x of %x, %x of %x", client.ParentSpanId, ingress.SpanId, callee.ParentSpanId, client.SpanId)
	}
	const failed = tracepb.Status_STATUS_CODE_ERROR
	if ingress.Status.GetCode() == failed || client.Status.GetCode() != failed || callee.Status.GetCode() != failed {
		t.Errorf("states: %v, %v, %v", ingress.Status, client.Status, callee.Status)
	}
	checkAttributes(t, ingress, map[string]string{"rpc.system.name": "countersign", "rpc.method": "quote",
		"rpc.response.status_code": "ok", "faas.trigger": "http", "faas.invocation_id": "c1", "server.address": "n1",
		"countersign.caller": "outside", "countersign.callee": "quote", "countersign.route": "ingress",
		"countersign.allocation": "a1", "countersign.release": "r1"})
	checkAttributes(t, client, map[string]string{"rpc.system.name": "countersign", "rpc.method": "tax",
		"rpc.response.status_code": "failed", "error.type": "failed", "faas.invoked_name": "tax", "server.address": "n2",
		"countersign.caller": "quote", "countersign.callee": "tax", "countersign.route": "remote",
		"countersign.allocation": "b1"})
	for s, service := range map[*span]string{&ingress: "quote n1", &client: "quote n1", &callee: "tax n2"} {
		if got := s.resource["service.name"] + " " + s.resource["host.name"]; got != service {
			t.Errorf("a span of %s is of service %q; want %q", s.Name, got, service)
		}
	}
	if r.path != "/v1/traces" || r.header.Get("Authorization") != "Bearer example" {
		t.Errorf("exported to %s with %v", r.path, slices.Sorted(maps.Keys(r.header)))
	}
	if got := value(scrape(t, first), metric.Spans, "result", "exported"); got != 2 {
		t.Errorf("%v spans are counted as exported; want 2", got)
	}
}

func checkAttributes(t *testing.T, s span, want map[string]string) {
	t.Helper()
	if !maps.Equal(s.attrs, want) {
		t.Errorf("%v %s has the attributes\n%v; want\n%v", s.Kind, s.Name, s.attrs, want)
	}
}

// TestTraceparents: what is valid is continued, with its decision; what is not begins a trace and goes no further.
func TestTraceparents(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	tel := traced(t, "n1", OTLP{Endpoint: r.URL + "/custom/path"}, nil)
	for in, trace := range map[string]string{
		"": "", "nonsense": "", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": "",
		"00-" + outsideTrace + "-" + strings.Repeat("0", 16) + "-01":   "",
		"00-" + strings.ToUpper(outsideTrace) + "-00f067aa0ba902b7-01": "",
		"ff-" + outsideTrace + "-00f067aa0ba902b7-01":                  "",
		"00-" + outsideTrace + "-00f067aa0ba902b7-01-more":             "",
		"00-" + outsideTrace + "-00f067aa0ba902b7-01":                  outsideTrace,
		"00-" + outsideTrace + "-00f067aa0ba902b7-00":                  outsideTrace,
	} {
		_, s := tel.Start(t.Context(), in, Server, "quote")
		out := s.Traceparent()
		s.End("")
		parts := strings.Split(out, "-")
		if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 {
			t.Fatalf("%q becomes %q", in, out)
		}
		if (trace != "") != (parts[1] == outsideTrace) || parts[2] == "00f067aa0ba902b7" {
			t.Errorf("%q becomes %q", in, out)
		}
		if sampled := !strings.HasSuffix(in, "-00"); (parts[3] == "01") != sampled {
			t.Errorf("%q becomes %q, which decides otherwise", in, out)
		}
	}
	flush(t, tel)
	if len(r.spans) != 8 || r.path != "/custom/path" {
		t.Errorf("%d spans are exported to %s; want 8: all that are to be recorded", len(r.spans), r.path)
	}
}

// TestSampling: a trace that is not chosen here is not recorded on the next host either.
func TestSampling(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	rare, all := traced(t, "n1", OTLP{Endpoint: r.URL, SampleRatio: 1e-9}, nil), traced(t, "n2", OTLP{Endpoint: r.URL}, nil)
	_, s := rare.Start(t.Context(), "", Client, "tax", Caller("quote"))
	_, next := all.Start(t.Context(), s.Traceparent(), Server, "tax")
	next.End("")
	s.End("")
	flush(t, rare)
	flush(t, all)
	if len(r.spans) != 0 || !strings.HasSuffix(next.Traceparent(), "-00") {
		t.Errorf("%d spans; traceparent %s", len(r.spans), next.Traceparent())
	}
}

// TestOff: without a receiver, what came in goes on as it is, nothing is allocated, and the zero Span does nothing.
func TestOff(t *testing.T) {
	tel, ctx := newTelemetry(t), t.Context()
	for _, in := range []string{"", "00-" + outsideTrace + "-00f067aa0ba902b7-00", "vendor's own"} {
		next, s := tel.Start(ctx, in, Server, "quote", Caller(""))
		if s.Traceparent() != in || next != ctx {
			t.Errorf("%q becomes %q", in, s.Traceparent())
		}
	}
	caller, allocation := "quote", "a1"
	if n := testing.AllocsPerRun(100, func() {
		_, s := tel.Start(ctx, "", Client, "tax", Caller(caller), Route(RouteRemote), Allocation(allocation))
		_ = s.Traceparent()
		s.End(countersign.CodeFailed, Release("r1"))
	}); n != 0 {
		t.Errorf("a span that is off allocates %v times", n)
	}
	var zero Span
	zero.End("")
	if zero.Traceparent() != "" {
		t.Errorf("the zero span has a traceparent")
	}
	flush(t, tel)
}

// TestReceiverDown: calls go on, spans are counted as lost, and the log says so once.
func TestReceiverDown(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	r.status = http.StatusForbidden
	var log bytes.Buffer
	tel := traced(t, "n1", OTLP{Endpoint: r.URL, Headers: map[string]string{"Authorization": "hush"}},
		slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		_, s := tel.Start(t.Context(), "", Server, "quote")
		s.End("")
	}
	flush(t, tel)
	if got := value(scrape(t, tel), metric.Spans, "result", "lost"); got != 3 {
		t.Errorf("%v spans are counted as lost; want 3", got)
	}
	if n := strings.Count(log.String(), "spans were lost"); n != 1 || strings.Contains(log.String(), "hush") {
		t.Errorf("the log: %s", log.String())
	}
}

func TestHTTPS(t *testing.T) {
	r := newReceiver(t, httptest.NewTLSServer)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(r.Certificate()), 0o600); err != nil {
		t.Fatal(err)
	}
	tel := traced(t, "n1", OTLP{Endpoint: r.URL, CACert: ca}, nil)
	_, s := tel.Start(t.Context(), "", Server, "quote")
	s.End("")
	flush(t, tel)
	r.one(t, "quote", tracepb.Span_SPAN_KIND_SERVER)
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func TestBadOTLP(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, otlp := range map[string]OTLP{
		"want http:// or https://": {Endpoint: "collector:4318"},
		"a host":                   {Endpoint: "http:///v1/traces"},
		"no password":              {Endpoint: "https://u:hush@collector:4318"},
		"or query":                 {Endpoint: "https://collector:4318?token=hush"},
		"not a URL":                {Endpoint: "http://collector:port hush"},
		"from 0 to 1":              {Endpoint: "http://collector", SampleRatio: 1.5},
		"read the certificate":     {Endpoint: "https://collector", CACert: empty + ".gone"},
		"holds no PEM":             {Endpoint: "https://collector", CACert: empty},
	} {
		_, err := New(t.Context(), Config{OTLP: otlp})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v; want %q", otlp, err, want)
		}
	}
}

func BenchmarkSpanOff(b *testing.B) {
	tel := newTelemetry(b)
	b.ReportAllocs()
	for b.Loop() {
		_, s := tel.Start(b.Context(), "", Client, "tax", Caller("quote"), Route(RouteLocal))
		s.End("")
	}
}
