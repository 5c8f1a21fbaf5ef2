package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

const (
	// MaxSeries is how many label sets one metric keeps apart, not counting codes, choices and buckets. What comes
	// later is counted under Other: names in calls from outside must not fill the memory.
	MaxSeries = 4096

	// Outside is the caller of calls that no function made.
	Outside = "outside"

	// Unknown is what a host passes as the callee of a call whose callee it does not know as a function.
	Unknown = "unknown"

	// Other stands for the names that are over MaxSeries or cannot be labels.
	Other = "other"

	maxLabel = 128 // bytes; names of functions have at most 63
)

// labels are the values of a label set that is looked up on the way of a call. A metric with fewer leaves the rest empty.
type labels [3]string

// series finds the handle of a label set. Looking one up that is known takes no lock and allocates nothing.
type series[V any] struct {
	make  func(labels) V
	other func(labels) labels // which label set stands in for one that is not kept apart

	known atomic.Pointer[map[labels]V]
	mu    sync.Mutex // writers copy the map
}

func newSeries[V any](make func(labels) V, other func(labels) labels) *series[V] {
	s := &series[V]{make: make, other: other}
	s.known.Store(&map[labels]V{})
	return s
}

func (s *series[V]) get(l labels) V {
	if v, ok := (*s.known.Load())[l]; ok {
		return v
	}
	if len(*s.known.Load()) >= MaxSeries || !l.valid() {
		l = s.other(l)
		if v, ok := (*s.known.Load())[l]; ok {
			return v
		}
	}
	return s.add(l)
}

func (s *series[V]) add(l labels) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := (*s.known.Load())[l]; ok {
		return v
	}
	next := maps.Clone(*s.known.Load())
	v := s.make(l)
	next[l] = v
	s.known.Store(&next)
	return v
}

// drop removes the label sets that match, and calls gone for each.
func (s *series[V]) drop(match func(labels, V) bool, gone func(labels)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(*s.known.Load())
	for l, v := range next {
		if match(l, v) {
			delete(next, l)
			gone(l)
		}
	}
	s.known.Store(&next)
}

// valid tells whether the values can be labels: the exposition format knows only UTF-8.
func (l labels) valid() bool {
	for _, value := range l {
		if len(value) > maxLabel || !utf8.ValidString(value) {
			return false
		}
	}
	return true
}

// first returns a label set with Other for the first n values and l's for those after.
func (l labels) first(n int) labels {
	for i := range n {
		l[i] = Other
	}
	for i := n; i < len(l); i++ {
		if len(l[i]) > maxLabel || !utf8.ValidString(l[i]) {
			l[i] = Other
		}
	}
	return l
}
