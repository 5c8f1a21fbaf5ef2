package router

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// group holds the healthy instances of a target.
type group[T Instance] struct {
	function string
	subset   string
	members  []member[T]   // those of this host, then the others from near to far
	local    int           // how many are of this host
	tiers    []int         // ends of the runs of members that are about as near as each other
	turn     atomic.Uint32 // of round_robin
}

// member is an instance that can be chosen: remote, or one of this host if that is nil.
type member[T Instance] struct {
	local    T
	remote   *Endpoint
	distance time.Duration
	hash     uint64
}

// Endpoints whose distance exceeds the nearest's by no more than nearMargin, or by nearShare of it if that is more, are
// as near as the nearest: estimates are no better than that.
const (
	nearMargin = time.Millisecond
	nearShare  = 0.2
)

func (g *group[T]) addLocal(in T) {
	g.members = append(g.members, member[T]{local: in, hash: hash(in.ID())})
	g.local++
}

// finish divides the members, which are sorted, into tiers.
func (g *group[T]) finish() {
	if g.local > 0 {
		g.tiers = append(g.tiers, g.local)
	}
	for i := g.local; i < len(g.members); {
		first := g.members[i].distance
		limit := farthest
		if margin := max(nearMargin, time.Duration(float64(first)*nearShare)); first < farthest-margin {
			limit = first + margin
		}
		for i < len(g.members) && g.members[i].distance <= limit {
			i++
		}
		g.tiers = append(g.tiers, i)
	}
}

// eligible tells whether a member may be chosen: it was not tried, and is not ejected unless that is ignored.
func (g *group[T]) eligible(i int, q *Query, ignoreEjection bool) bool {
	m := &g.members[i]
	if m.remote == nil {
		return len(q.LocalTried) == 0 || !slices.Contains(q.LocalTried, m.local.ID())
	}
	for _, e := range q.Tried {
		if e != nil && e.state == m.remote.state {
			return false
		}
	}
	return ignoreEjection || !m.remote.state.ejected()
}

func (m *member[T]) load() int {
	if m.remote == nil {
		return m.local.InFlight()
	}
	return m.remote.InFlight()
}

// random returns an eligible member in [lo, hi) but not except, or -1 if there is none.
func (g *group[T]) random(lo, hi, except int, q *Query, ignoreEjection bool) int {
	n := hi - lo
	if n <= 0 {
		return -1
	}
	start := lo
	for range 4 { // few are ineligible as a rule
		if n > 1 {
			start = lo + rand.IntN(n)
		}
		if start != except && g.eligible(start, q, ignoreEjection) {
			return start
		}
	}
	return g.next(lo, hi, start-lo, except, q, ignoreEjection)
}

// next returns the first eligible member in [lo, hi) from lo+offset on, going around, but not except; -1 if none.
func (g *group[T]) next(lo, hi, offset, except int, q *Query, ignoreEjection bool) int {
	n := hi - lo
	for k := range n {
		i := lo + (offset+k)%n
		if i != except && g.eligible(i, q, ignoreEjection) {
			return i
		}
	}
	return -1
}

// leastBusy returns, of that many eligible members in [lo, hi) taken at random, the one with the fewest calls in flight;
// -1 if none is eligible.
func (g *group[T]) leastBusy(lo, hi, choices int, q *Query, ignoreEjection bool) int {
	best := g.random(lo, hi, -1, q, ignoreEjection)
	if best < 0 || hi-lo == 1 {
		return best
	}
	load := g.members[best].load()
	for range choices - 1 {
		i := g.random(lo, hi, best, q, ignoreEjection)
		if i < 0 {
			break
		}
		if l := g.members[i].load(); l < load {
			best, load = i, l
		}
	}
	return best
}

// nearest returns a member by the platform's own policy, -1 if none is eligible.
func (g *group[T]) nearest(q *Query, ignoreEjection bool) int {
	lo := 0
	for _, hi := range g.tiers {
		if i := g.leastBusy(lo, hi, 2, q, ignoreEjection); i >= 0 {
			return i
		}
		lo = hi
	}
	return -1
}

// hashed returns the eligible member to which key goes, -1 if there is none. It is rendezvous hashing: when a member
// comes or goes, only its own keys move.
func (g *group[T]) hashed(key uint64, q *Query, ignoreEjection bool) int {
	best, top := -1, uint64(0)
	for i := range g.members {
		if score := mix(key ^ g.members[i].hash); (best < 0 || score > top) && g.eligible(i, q, ignoreEjection) {
			best, top = i, score
		}
	}
	return best
}

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
