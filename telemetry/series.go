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

	// Unknown is what a host passes as the callee of a call whose callee it does not know as a function.
	Unknown = "unknown"

	// Other stands for the names that are over MaxSeries or cannot be labels.
	Other = "other"

	maxLabel = 128 // bytes; names of functions have at most 63
)

// labels are the values of a label set that is looked up on the way of a call. A metric with fewer leaves the rest empty.
type labels [3]string

// series finds the handle of a label set. Looking up one that is used takes no lock and allocates nothing: readers see
// a map that is never changed, and new label sets gather in a second one, which takes its place when it has been asked
// as often as it has entries. So that callers who make up label sets do not make it copied for each.
type series[V any] struct {
	make  func(labels) V
	other func(labels) labels // which label set stands in for one that is not kept apart
	max   int                 // label sets to keep apart

	read   atomic.Pointer[map[labels]V]
	mu     sync.Mutex
	recent map[labels]V // nil, or all of read and what is newer
	misses int          // lookups that read could not answer since recent was begun
}

func newSeries[V any](make func(labels) V, other func(labels) labels) *series[V] {
	s := &series[V]{make: make, other: other, max: MaxSeries}
	s.read.Store(&map[labels]V{})
	return s
}

func (s *series[V]) get(l labels) V {
	if v, ok := (*s.read.Load())[l]; ok {
		return v
	}
	return s.find(l)
}

// find is get for what the readers' map does not have.
func (s *series[V]) find(l labels) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.all()
	v, ok := known[l]
	if !ok && (len(known) >= s.max || !l.valid()) {
		l = s.other(l)
		v, ok = known[l]
	}
	if !ok {
		if s.recent == nil {
			s.recent = maps.Clone(known)
		}
		v = s.make(l)
		s.recent[l] = v
	}
	if s.misses++; s.recent != nil && s.misses >= len(s.recent) {
		s.publish(s.recent)
	}
	return v
}

// all returns every label set; the caller holds the lock.
func (s *series[V]) all() map[labels]V {
	if s.recent != nil {
		return s.recent
	}
	return *s.read.Load()
}

// publish gives readers m, which must not be changed any more; the caller holds the lock.
func (s *series[V]) publish(m map[labels]V) {
	s.read.Store(&m)
	s.recent, s.misses = nil, 0
}

// drop removes the label sets that match, and calls gone for each.
func (s *series[V]) drop(match func(labels, V) bool, gone func(labels)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	left := make(map[labels]V, len(all))
	for l, v := range all {
		if match(l, v) {
			gone(l)
			continue
		}
		left[l] = v
	}
	s.publish(left)
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
