package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// OTLP says where spans go. The zero value turns them off.
type OTLP struct {
	Endpoint    string            // URL of an OTLP/HTTP receiver; without a path, /v1/traces; "" = no spans
	Headers     map[string]string // sent with each export; may hold a secret
	SampleRatio float64           // share of the traces begun here that are recorded, in (0, 1]; 0 = 1
	CACert      string            // PEM file of the authorities to trust for https; "" = the system's
}

const (
	scopeName     = "countersign"
	exportTimeout = 10 * time.Second
	tracesPath    = "/v1/traces"
)

// tracer makes spans. Each function is a service of its own to the receiver, as teams look for theirs by name, so there
// is a provider for each; they share the exporter and its queue.
type tracer struct {
	queue   sdk.SpanProcessor
	sampler sdk.Sampler
	host    []attribute.KeyValue // what the spans of every function of this host have in common
	scopes  *series[trace.Tracer]
}

func newTracer(ctx context.Context, config Config, t *Telemetry) (*tracer, error) {
	options, err := config.OTLP.options()
	if err != nil {
		return nil, err
	}
	client, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("set up the exporter of spans: %w", err)
	}
	ratio := config.OTLP.SampleRatio
	if ratio == 0 {
		ratio = 1
	}
	tr := &tracer{
		queue:   sdk.NewBatchSpanProcessor(&exporter{SpanExporter: client, t: t}, sdk.WithExportTimeout(exportTimeout)),
		sampler: sdk.ParentBased(sdk.TraceIDRatioBased(ratio)),
		host: []attribute.KeyValue{attribute.String("service.namespace", config.TrustDomain),
			attribute.String("service.version", config.Version), attribute.String("host.name", config.Node)},
	}
	tr.scopes = newSeries(tr.scope, func(l labels) labels { return l.first(1).only(1) })
	return tr, nil
}

// scope returns the tracer of one function.
func (tr *tracer) scope(l labels) trace.Tracer {
	name := l[0]
	attrs := append([]attribute.KeyValue{attribute.String("service.name", name), attribute.String("faas.name", name)},
		tr.host...)
	return sdk.NewTracerProvider(sdk.WithSpanProcessor(tr.queue), sdk.WithSampler(tr.sampler),
		sdk.WithResource(resource.NewSchemaless(attrs...))).Tracer(scopeName)
}

func (tr *tracer) shutdown(ctx context.Context) error {
	if err := tr.queue.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// options checks o and says it in the exporter's words. No error of it holds a header or a password.
func (o OTLP) options() ([]otlptracehttp.Option, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, errors.New("the OTLP endpoint is not a URL; write one such as http://collector:4318")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("OTLP endpoint with scheme %q and host %q: want http:// or https://, a host, and no password "+
			"or query; credentials go into headers", u.Scheme, u.Host)
	}
	if !(o.SampleRatio >= 0 && o.SampleRatio <= 1) {
		return nil, fmt.Errorf("OTLP sample ratio %v: want a number from 0 to 1", o.SampleRatio)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHeaders(o.Headers), otlptracehttp.WithTimeout(exportTimeout)}
	if o.CACert == "" {
		return options, nil
	}
	pem, err := os.ReadFile(o.CACert)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities of the OTLP receiver: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the certificate authorities of the OTLP receiver: %s holds no PEM certificate", o.CACert)
	}
	return append(options, otlptracehttp.WithTLSClientConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})), nil
}

// exporter counts what the receiver took and says in the log what was lost, once a minute at most.
type exporter struct {
	sdk.SpanExporter
	t *Telemetry

	mu     sync.Mutex
	logged time.Time
}

const logEvery = time.Minute

// ExportSpans implements sdk.SpanExporter. It returns no error, as that would go to a handler that the whole process
// shares.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		e.t.spanEnds.get(labels{"exported"}).Add(float64(len(spans)))
		return nil
	}
	e.t.spanEnds.get(labels{"lost"}).Add(float64(len(spans)))
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); now.Sub(e.logged) >= logEvery {
		e.logged = now
		e.t.log.Warn("spans were lost: the OTLP receiver did not take them", "spans", len(spans), "error", err)
	}
	return nil
}
