package callsig

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultReplayEntries is how many calls a ReplayCache remembers per generation if not told otherwise.
const DefaultReplayEntries = 1 << 20

const replayShards = 64

// nonceKey stands for a key ID and a nonce: half a SHA-256, so that an entry has a fixed size.
type nonceKey [16]byte

// ReplayCache remembers which nonces were used with which keys, for as long as a replay could still be fresh. It is
// bounded: when it has no room it refuses, rather than to forget. It is for calls from outside and from other nodes;
// sessions have their own window. The zero value is not usable.
//
// What it can't know it refuses as well: calls that an earlier process may have accepted, and, if the clock is turned
// back, calls from a time whose nonces were dropped.
type ReplayCache struct {
	perShard int
	shards   [replayShards]replayShard

	horizon Horizon // nil: none is kept
	reached atomic.Int64
	raising sync.Mutex
}

// Horizon is what outlives the process of a ReplayCache: until when the calls were created that it may have accepted. A
// restart alone does not tell, since the clocks of callers may be ahead.
type Horizon interface {
	// Reached is the latest second, in Unix time, in which a call may have been created that was accepted; 0: none was.
	Reached() int64
	// Raise keeps a later second, beyond the end of the process. It returns when that is done.
	Raise(to int64) error
}

// horizonStep is by how many seconds the horizon is raised beyond a call that needs it: it is raised at most once in so
// many seconds, and after a restart calls of so many seconds are refused that nobody has seen.
const horizonStep = 1

// replayShard has two generations. Each lasts for at least the time that a nonce must be remembered, so that the older
// one can be dropped as a whole.
type replayShard struct {
	mu       sync.Mutex
	current  map[nonceKey]struct{}
	previous map[nonceKey]struct{}
	newest   [2]int64  // Unix seconds: when the latest call in current and in previous was created
	since    time.Time // when current was begun
	unknown  int64     // Unix seconds: calls created before may have been seen, and it is not known which
}

// NewReplayCache returns a cache that holds at most about entries nonces per generation, that is twice as many in all;
// 0 means DefaultReplayEntries. An entry takes 16 bytes and its share of a map. now is the time from which on the cache
// sees every call. Of the time before nothing is known, so calls are refused that were created until ClockSkew after now:
// an earlier process may have accepted them from a caller whose clock is ahead.
func NewReplayCache(entries int, now time.Time) *ReplayCache {
	return newReplayCache(entries, now, now.Unix()+skewSeconds+1)
}

// ResumeReplayCache returns a cache that goes on where that of an earlier process ended: it refuses calls created until
// horizon, and raises it before it accepts later ones. Without a horizon it takes every call for new. That is for calls
// that nobody but their signers can bring again (docs/call-format.md, "Replays").
func ResumeReplayCache(entries int, now time.Time, horizon Horizon) *ReplayCache {
	if horizon == nil {
		return newReplayCache(entries, now, 0)
	}
	reached := horizon.Reached()
	c := newReplayCache(entries, now, reached+1)
	c.horizon = horizon
	c.reached.Store(reached)
	return c
}

func newReplayCache(entries int, now time.Time, unknown int64) *ReplayCache {
	if entries <= 0 {
		entries = DefaultReplayEntries
	}
	c := &ReplayCache{perShard: max(1, entries/replayShards)}
	for i := range c.shards {
		c.shards[i] = replayShard{current: map[nonceKey]struct{}{}, since: now, unknown: unknown}
	}
	return c
}

// Len returns how many nonces are remembered.
func (c *ReplayCache) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.current) + len(s.previous)
		s.mu.Unlock()
	}
	return n
}

func (c *ReplayCache) claim(keyID string, sig *Signature, now time.Time) error {
	// Key IDs have a fixed length, so that the two parts cannot be shifted against each other.
	sum := sha256.Sum256([]byte(keyID + "\x00" + sig.Nonce))
	if err := c.raise(sig.Created); err != nil {
		return err
	}
	key := nonceKey(sum[:16])
	s := &c.shards[sum[31]%replayShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if _, seen := s.current[key]; seen {
		return refuse(ReasonReplayed, "the call's nonce was used before")
	}
	if _, seen := s.previous[key]; seen {
		return refuse(ReasonReplayed, "the call's nonce was used before")
	}
	if sig.Created < s.unknown {
		return refuse(ReasonExpired, "the call may have been accepted before, which this node does not know any more; sign anew")
	}
	if len(s.current) >= c.perShard {
		return refuse(ReasonReplayCacheFull, "more calls than this node can remember; try again in a minute")
	}
	s.current[key] = struct{}{}
	s.newest[0] = max(s.newest[0], sig.Created)
	return nil
}

// raise has the horizon beyond a call's creation before the call is accepted.
func (c *ReplayCache) raise(created int64) error {
	if c.horizon == nil || created <= c.reached.Load() {
		return nil
	}
	c.raising.Lock()
	defer c.raising.Unlock()
	if created <= c.reached.Load() {
		return nil
	}
	if err := c.horizon.Raise(created + horizonStep); err != nil {
		return because(ReasonReplayCacheFull, err, "keep beyond a restart that calls were accepted")
	}
	c.reached.Store(created + horizonStep)
	return nil
}

// turn begins a new generation when the current one has lasted long enough, and drops the one before: from then on, what
// is not later than the latest call in it is refused. As long as the clock goes forward no fresh call is that old. The
// calls say how old they are, and not this clock, which may have been turned back since, and may be put right again.
func (s *replayShard) turn(now time.Time) {
	age := now.Sub(s.since)
	if age < remember {
		return
	}
	s.drop(s.previous, s.newest[1])
	s.previous, s.newest[1] = s.current, s.newest[0]
	if age >= 2*remember {
		s.drop(s.previous, s.newest[1])
		s.previous = nil
	}
	s.current, s.newest[0], s.since = map[nonceKey]struct{}{}, 0, now
}

// drop notes that the nonces of a generation are not known any more, of which the latest call was created at newest.
func (s *replayShard) drop(generation map[nonceKey]struct{}, newest int64) {
	if len(generation) > 0 {
		s.unknown = max(s.unknown, newest+1)
	}
}
