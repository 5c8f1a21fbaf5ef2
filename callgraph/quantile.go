package callgraph

import (
	"maps"
	"math"
	"slices"
	"time"
)

// quantile estimates the time that a share q of the observations did not exceed, as Prometheus does: observations are
// taken to be spread evenly within their bucket, and what is over the last bound counts as the last bound. It is 0 if
// nothing was observed.
func (l latency) quantile(q float64) time.Duration {
	total := l[math.Inf(1)]
	if total <= 0 {
		return 0
	}
	rank, lower, below := q*total, 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(l)) {
		if math.IsInf(bound, 1) {
			break
		}
		if count := l[bound]; count >= rank && count > below {
			return seconds(lower + (bound-lower)*(rank-below)/(count-below))
		}
		lower, below = bound, l[bound]
	}
	return seconds(lower)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
