package callgraph

import (
	"math"
	"time"
)

// Window is what hosts counted during a time: between two scrapes, or since each of them started.
type Window struct {
	hosts []span
	total bool // since the hosts started
}

// span is one host's part of a window.
type span struct {
	before, after *Scrape // before is nil if the host started within the window
	seconds       float64
}

// Total is the window from the start of each host to its scrape.
func Total(scrapes []*Scrape) Window {
	w := Window{total: true}
	for _, s := range scrapes {
		w.hosts = append(w.hosts, span{after: s, seconds: s.Taken.Sub(s.started).Seconds()})
	}
	return w
}

// Between is the window between two scrapes of the same hosts. A host that restarted counts from its start; one that was
// there before and has no first scrape is left out of what is counted, as there is nothing to compare with.
func Between(before, after []*Scrape) Window {
	first := map[string]*Scrape{}
	var begun time.Time
	for _, s := range before {
		first[s.Host] = s
		if begun.IsZero() || s.Taken.Before(begun) {
			begun = s.Taken
		}
	}
	var w Window
	for _, s := range after {
		b := first[s.Host]
		switch {
		case b != nil && b.started.Equal(s.started):
			w.hosts = append(w.hosts, span{b, s, s.Taken.Sub(b.Taken).Seconds()})
		case b != nil || !begun.IsZero() && s.started.After(begun):
			w.hosts = append(w.hosts, span{nil, s, s.Taken.Sub(s.started).Seconds()})
		default: // its gauges are known, its rates are not
			w.hosts = append(w.hosts, span{s, s, math.Inf(1)})
		}
	}
	return w
}

// seconds returns the length of the longest part.
func (w Window) seconds() float64 {
	longest := 0.0
	for _, h := range w.hosts {
		if !math.IsInf(h.seconds, 1) {
			longest = max(longest, h.seconds)
		}
	}
	return longest
}

// counted calls f with each series of a counter or histogram of the host and how much it rose in the window.
func (s span) counted(name string, f func(labels map[string]string, rise sample)) {
	for key, after := range s.after.metrics[name] {
		if s.before != nil {
			after = after.minus(s.before.metrics[name][key])
		}
		f(after.labels, after)
	}
}

// read calls f with each series of a gauge or counter of the host as it is at the end of the window.
func (s span) read(name string, f func(labels map[string]string, value float64)) {
	for _, after := range s.after.metrics[name] {
		f(after.labels, after.value)
	}
}

// rate is a rise per second.
func (s span) rate(rise float64) float64 {
	if s.seconds <= 0 {
		return 0
	}
	return rise / s.seconds
}

// minus returns how much a series rose since before. One that fell began anew.
func (a sample) minus(before sample) sample {
	if a.value < before.value || len(before.buckets) != 0 && len(before.buckets) != len(a.buckets) {
		return a
	}
	rise := sample{labels: a.labels, value: a.value - before.value}
	for i, b := range a.buckets {
		if len(before.buckets) > 0 {
			b.count = max(0, b.count-before.buckets[i].count)
		}
		rise.buckets = append(rise.buckets, b)
	}
	return rise
}

// latency adds up the buckets of several series.
type latency map[float64]float64 // count of observations up to each bound

func (l latency) add(s sample) {
	for _, b := range s.buckets {
		l[b.bound] += b.count
	}
}
