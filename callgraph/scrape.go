package callgraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Path is where a host serves its metrics.
const Path = "/v1/metrics"

const maxScrape = 64 << 20 // bytes of one host's metrics

// Scrape is what one host counted until one moment.
type Scrape struct {
	Host  string // address, for people
	Taken time.Time

	started time.Time // of the host's process; zero if unknown
	metrics map[string]map[string]sample
}

// sample is one series: the value of a counter or gauge, or the buckets of a histogram.
type sample struct {
	labels  map[string]string
	value   float64  // of a histogram: how many observations
	buckets []bucket // by rising bound
}

// bucket counts the observations up to a bound.
type bucket struct{ bound, count float64 }

// parseScrape reads metrics in the Prometheus text format.
func parseScrape(host string, taken time.Time, r io.Reader) (*Scrape, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", host, err)
	}
	s := &Scrape{Host: host, Taken: taken, metrics: map[string]map[string]sample{}}
	for name, family := range families {
		series := make(map[string]sample, len(family.GetMetric()))
		for _, m := range family.GetMetric() {
			key, one := read(m)
			series[key] = one
		}
		s.metrics[name] = series
	}
	for _, one := range s.metrics["process_start_time_seconds"] {
		s.started = time.UnixMilli(int64(one.value * 1000))
	}
	return s, nil
}

// read returns a series and what tells it from others of its metric.
func read(m *dto.Metric) (string, sample) {
	one := sample{labels: make(map[string]string, len(m.GetLabel()))}
	var parts []string
	for _, l := range m.GetLabel() {
		one.labels[l.GetName()] = l.GetValue()
		parts = append(parts, l.GetName()+"\x00"+l.GetValue())
	}
	slices.Sort(parts)
	switch h := m.GetHistogram(); {
	case h != nil:
		one.value = float64(h.GetSampleCount())
		for _, b := range h.GetBucket() {
			one.buckets = append(one.buckets, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
		}
		slices.SortFunc(one.buckets, func(a, b bucket) int {
			if a.bound < b.bound {
				return -1
			}
			return 1
		})
	case m.GetCounter() != nil:
		one.value = m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		one.value = m.GetGauge().GetValue()
	default:
		one.value = m.GetUntyped().GetValue()
	}
	if math.IsNaN(one.value) {
		one.value = 0
	}
	return strings.Join(parts, "\x01"), one
}

// HostError says that the metrics of one host could not be had.
type HostError struct {
	Host string
	Err  error
}

// Error implements error.
func (e *HostError) Error() string { return fmt.Sprintf("metrics of %s: %v", e.Host, e.Err) }

// Unwrap returns the cause.
func (e *HostError) Unwrap() error { return e.Err }

const (
	atOnce  = 16 // hosts that are asked at the same time
	timeout = 5 * time.Second
)

// Fetch reads the metrics of the hosts at addresses (host:port). It returns what it got, in the order of addresses, and
// a *HostError for each of the others.
func Fetch(ctx context.Context, client *http.Client, addresses []string) ([]*Scrape, []error) {
	scrapes, errs := make([]*Scrape, len(addresses)), make([]error, len(addresses))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, address := range addresses {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if s, err := fetch(ctx, client, address); err != nil {
				errs[i] = &HostError{address, err}
			} else {
				scrapes[i] = s
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(scrapes, func(s *Scrape) bool { return s == nil }),
		slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func fetch(ctx context.Context, client *http.Client, address string) (*Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+Path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	var inner *url.Error
	if errors.As(err, &inner) {
		return nil, inner.Err // without the URL, which the caller names
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answers %s", Path, resp.Status)
	}
	return parseScrape(address, time.Now(), http.MaxBytesReader(nil, resp.Body, maxScrape))
}
