package router

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// group holds the healthy instances of a target.
type group[T Instance] struct {
	function string
	members  []member[T]    // those of this host, then the others from near to far
	first    int            // end of the first of the runs of members that are about as near as each other
	tiers    []int          // ends of the other runs
	few      [3]member[T]   // in a leaf, the memory of members if they are so few
	local    int            // how many members are of this host
	turn     *atomic.Uint32 // of round_robin; nil if there is no policy
	subset   string
}

// member is an instance that can be chosen: remote, or one of this host if that is nil.
type member[T Instance] struct {
	local  T
	remote *Endpoint
	state  *state // remote's
	hash   uint64
}

// distant is an endpoint and how far it is.
type distant struct {
	*Endpoint
	distance time.Duration
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

// finish adds the endpoints on other hosts from near to far, and divides the members into tiers.
func (g *group[T]) finish(remote []distant) {
	slices.SortFunc(remote, func(a, b distant) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.Allocation, b.Allocation))
	})
	var ends []int
	if g.local > 0 {
		ends = append(ends, g.local)
	}
	g.members = slices.Grow(g.members, len(remote))
	for i := 0; i < len(remote); {
		first := remote[i].distance
		limit := farthest
		if margin := max(nearMargin, time.Duration(float64(first)*nearShare)); first < farthest-margin {
			limit = first + margin
		}
		for ; i < len(remote) && remote[i].distance <= limit; i++ {
			e := remote[i].Endpoint
			g.members = append(g.members, member[T]{remote: e, state: e.state, hash: hash(e.Allocation)})
		}
		ends = append(ends, len(g.members))
	}
	if len(ends) > 0 {
		g.first, g.tiers = ends[0], ends[1:]
	}
}

// eligible tells whether a member may be chosen: it fits, was not tried, and is not ejected unless that is ignored.
func (g *group[T]) eligible(i int, q *Query, ignoreEjection bool) bool {
	m := &g.members[i]
	if !m.fits(q) {
		return false
	}
	if m.remote == nil {
		return len(q.LocalTried) == 0 || !slices.Contains(q.LocalTried, m.local.ID())
	}
	for _, e := range q.Tried {
		if e != nil && e.state == m.state {
			return false
		}
	}
	return ignoreEjection || !m.state.ejected()
}

// fits tells whether the caller's code and the member's understand each other, as far as is known.
func (m *member[T]) fits(q *Query) bool {
	switch {
	case q.Fits == nil:
		return true
	case m.remote == nil:
		return q.Fits(m.local.InterfaceDigest())
	}
	return m.remote.Interface == "" || q.Fits(m.remote.Interface)
}

// fits tells whether any member fits.
func (g *group[T]) fits(q *Query) bool {
	for i := range g.members {
		if g.members[i].fits(q) {
			return true
		}
	}
	return false
}

func (m *member[T]) load() int {
	if m.remote == nil {
		return m.local.InFlight()
	}
	return int(m.state.inFlight.Load())
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
	if i := g.leastBusy(0, g.first, 2, q, ignoreEjection); i >= 0 {
		return i
	}
	lo := g.first
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
