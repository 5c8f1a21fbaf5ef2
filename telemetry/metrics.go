package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"countersign/telemetry/metric"
)

// buckets are the upper bounds of the histogram in seconds: from a call within the host to the longest deadline.
var buckets = []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

func counterVec(reg *prometheus.Registry, name string) *prometheus.CounterVec {
	m := metric.Describe(name)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
	reg.MustRegister(v)
	return v
}

func gaugeVec(reg *prometheus.Registry, name string) *prometheus.GaugeVec {
	m := metric.Describe(name)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
	reg.MustRegister(v)
	return v
}

func histogramVec(reg *prometheus.Registry, name string) *prometheus.HistogramVec {
	m := metric.Describe(name)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
	reg.MustRegister(v)
	return v
}
