package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"countersign"
)

// codes are the values of the label code: first that of a call that did not fail. The test holds them to docs/errors.md.
var codes = [...]countersign.Code{
	"ok",
	countersign.CodeBadRequest,
	countersign.CodeUnknownFunction,
	countersign.CodeNotPermitted,
	countersign.CodeInterfaceMismatch,
	countersign.CodeUnverified,
	countersign.CodeExpired,
	countersign.CodeReplayed,
	countersign.CodeTooLarge,
	countersign.CodeLoop,
	countersign.CodeUnavailable,
	countersign.CodeOverloaded,
	countersign.CodeDeadline,
	countersign.CodeCanceled,
	countersign.CodePanicked,
	countersign.CodeOutOfMemory,
	countersign.CodeExited,
	countersign.CodeBroken,
	countersign.CodeFailed,
	countersign.CodeInternal,
	Other, // one that another host's return names and this version does not know
}

// codeIndex is where each code is in codes.
var codeIndex = func() map[countersign.Code]int {
	index := make(map[countersign.Code]int, len(codes))
	for i, code := range codes {
		index[code] = i
	}
	return index
}()

// index returns the place of code in codes.
func index(code countersign.Code) int {
	if code == "" {
		return 0
	}
	if i, ok := codeIndex[code]; ok {
		return i
	}
	return len(codes) - 1
}

// byCode counts by code. The series of a code comes to be when it is first counted, so that there are not twenty for
// each label set of which nineteen stay 0.
type byCode struct {
	vec      *prometheus.CounterVec // only the label code is left open
	counters [len(codes)]atomic.Pointer[prometheus.Counter]
}

func newByCode(vec *prometheus.CounterVec, fixed prometheus.Labels) *byCode {
	b := &byCode{vec: vec.MustCurryWith(fixed)}
	b.counter(0) // that of success is there from the start, or a first increase could not be seen
	return b
}

func (b *byCode) inc(code countersign.Code) {
	i := index(code)
	if c := b.counters[i].Load(); c != nil {
		(*c).Inc()
		return
	}
	b.counter(i).Inc()
}

func (b *byCode) counter(i int) prometheus.Counter {
	c := b.vec.WithLabelValues(string(codes[i]))
	b.counters[i].Store(&c)
	return c
}
