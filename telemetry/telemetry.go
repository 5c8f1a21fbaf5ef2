package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"countersign/telemetry/metric"
)

// Config is what a host tells about itself, and where its spans go.
type Config struct {
	Node, Version, TrustDomain string

	OTLP OTLP
	Log  *slog.Logger // nil: nothing is logged
}

// Telemetry holds the metrics and the tracer of a host. Its methods are safe for concurrent use.
type Telemetry struct {
	registry *prometheus.Registry
	log      *slog.Logger

	calls, servedCalls *prometheus.CounterVec
	durations          *prometheus.HistogramVec
	inFlight           *prometheus.GaugeVec

	edges                           *series[*Edge]
	served                          *series[*Served]
	choices                         *series[choices]
	refusals, retries               *series[prometheus.Counter]
	ejections, handshakes, spanEnds *series[prometheus.Counter]

	state  atomic.Pointer[func() Gauges]
	tracer *tracer // nil: spans are off
}

// New makes the telemetry of a host. It fails if config.OTLP is wrong; whether the receiver is there is not tried, since
// a host must start without it.
func New(ctx context.Context, config Config) (*Telemetry, error) {
	t := &Telemetry{registry: prometheus.NewRegistry(), log: config.Log}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(t))
	gaugeVec(t.registry, metric.HostInfo).WithLabelValues(config.Node, config.Version, config.TrustDomain).Set(1)
	t.calls, t.durations = counterVec(t.registry, metric.Calls), histogramVec(t.registry, metric.CallDuration)
	t.servedCalls, t.inFlight = counterVec(t.registry, metric.ServedCalls), gaugeVec(t.registry, metric.CallsInFlight)
	t.edges = newSeries(t.newEdge, func(l labels) labels { return l.first(2) })
	t.served = newSeries(t.newServed, func(l labels) labels { return l.first(2).only(2) })
	chosen := counterVec(t.registry, metric.RouteChoices)
	t.choices = newSeries(func(l labels) choices {
		return choices{chosen.WithLabelValues(l[0], RouteLocal), chosen.WithLabelValues(l[0], RouteRemote)}
	}, func(l labels) labels { return l.first(1).only(1) })
	t.refusals = events(counterVec(t.registry, metric.Refusals), 3, 1)
	t.retries = events(counterVec(t.registry, metric.RouteRetries), 2, 1)
	t.ejections = events(counterVec(t.registry, metric.Ejections), 1, 1)
	t.handshakes = events(counterVec(t.registry, metric.Handshakes), 1, 1)
	t.spanEnds = events(counterVec(t.registry, metric.Spans), 1, 1)
	if config.OTLP.Endpoint == "" {
		return t, nil
	}
	var err error
	t.tracer, err = newTracer(ctx, config, t)
	return t, err
}

// Shutdown sends the spans that are waiting and ends the tracer; it gives up when ctx ends. Calls may go on: they are
// counted, but no longer traced.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.shutdown(ctx)
}

// scrapes is how many may run at the same time.
const scrapes = 4

// Handler answers GET with all metrics in the Prometheus text format or one that the scraper prefers.
func (t *Telemetry) Handler() http.Handler {
	metrics := promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{t.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "metrics are read with GET", http.StatusMethodNotAllowed)
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// errorLog writes what went wrong in a scrape to the host's log.
type errorLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) {
	var errs []error
	for _, a := range v {
		if err, ok := a.(error); ok {
			errs = append(errs, err)
		}
	}
	l.log.Warn("serving metrics", "error", errors.Join(errs...))
}
