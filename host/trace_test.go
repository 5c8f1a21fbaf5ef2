package host

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
)

// receiver takes spans by OTLP/HTTP.
type receiver struct {
	mu    sync.Mutex
	spans map[string]*tracepb.Span // by name, which is the function that is called
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.Reader(req.Body), error(nil)
	if req.Header.Get("Content-Encoding") == "gzip" {
		body, err = gzip.NewReader(req.Body)
	}
	var export collectorpb.ExportTraceServiceRequest
	var data []byte
	if err == nil {
		data, err = io.ReadAll(body)
	}
	if err == nil {
		err = proto.Unmarshal(data, &export)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range export.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans[s.Name] = s
			}
		}
	}
}

// TestTraceFollowsACallOverHosts has quote call tax on another host, and tax call rate on the first again: a span per
// hop, each the parent of the next, in the trace that the call came with.
func TestTraceFollowsACallOverHosts(t *testing.T) {
	got := &receiver{spans: map[string]*tracepb.Span{}}
	server := httptest.NewServer(got)
	defer server.Close()
	ns := newNodesFrom(t, 2, control.HostConfig{Telemetry: control.Telemetry{OTLPEndpoint: server.URL}})
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	var tax *task
	tax = ns.run(1, "tax", hclspec.Function{Calls: []string{"rate"}}, running(func(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
		return outbound{tax}.Call(ctx, in, "rate", in.Body)
	}))
	var seen string
	ns.run(0, "rate", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		seen = in.Traceparent
		return in.Body, nil
	}))
	ns.publish()
	const trace, root = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	in := &countersign.Invocation{Function: "quote", Traceparent: "00-" + trace + "-" + root + "-01"}
	if _, err := (outbound{quote}).Call(t.Context(), in, "tax", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	for _, f := range ns.hosts {
		if err := f.host.telemetry.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	toTax, toRate := got.spans["tax"], got.spans["rate"]
	if toTax == nil || toRate == nil {
		t.Fatalf("the receiver got %v", got.spans)
	}
	for _, s := range []*tracepb.Span{toTax, toRate} {
		if hex.EncodeToString(s.TraceId) != trace {
			t.Errorf("span %s is of trace %x", s.Name, s.TraceId)
		}
	}
	if hex.EncodeToString(toTax.ParentSpanId) != root || string(toRate.ParentSpanId) != string(toTax.SpanId) {
		t.Errorf("parents %x and %x; want %s and %x", toTax.ParentSpanId, toRate.ParentSpanId, root, toTax.SpanId)
	}
	if want := "00-" + trace + "-" + hex.EncodeToString(toRate.SpanId) + "-01"; seen != want {
		t.Errorf("the last function sees %s; want %s", seen, want)
	}
}
