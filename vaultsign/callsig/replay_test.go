package callsig

import (
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func claimAt(c *ReplayCache, nonce string, now time.Time) error {
	return c.claim("key", &Signature{Nonce: nonce, Created: now.Unix()}, now)
}

func TestReplayCacheRemembersLongEnough(t *testing.T) {
	start := time.Now()
	for _, at := range []time.Duration{0, remember - time.Second, remember, 2*remember - time.Second, 5 * remember} {
		c := ResumeReplayCache(0, start, nil)
		for i := range 200 { // fill all shards
			must(t, claimAt(c, itoa(int64(i)), start))
		}
		claimed := start.Add(at)
		must(t, claimAt(c, "nonce", claimed))
		for _, later := range []time.Duration{0, time.Second, remember / 2, remember} {
			err := c.claim("key", &Signature{Nonce: "nonce", Created: claimed.Unix()}, claimed.Add(later))
			wantReason(t, err, ReasonReplayed)
		}
		must(t, claimAt(c, "another", claimed))
		must(t, c.claim("key2", &Signature{Nonce: "nonce", Created: claimed.Unix()}, claimed))
	}
}

func TestReplayCacheForgets(t *testing.T) {
	start := time.Now()
	c := ResumeReplayCache(0, start, nil)
	for i := range 1000 {
		must(t, claimAt(c, itoa(int64(i)), start))
	}
	if c.Len() != 1000 {
		t.Errorf("%d nonces, want 1000", c.Len())
	}
	for i := range 1000 {
		must(t, claimAt(c, "x"+itoa(int64(i)), start.Add(remember)))
	}
	if c.Len() != 2000 {
		t.Errorf("%d nonces, want both generations", c.Len())
	}
	for i := range 1000 {
		must(t, claimAt(c, "y"+itoa(int64(i)), start.Add(2*remember)))
	}
	if c.Len() != 2000 {
		t.Errorf("%d nonces, want the first generation gone", c.Len())
	}
}

func TestReplayCacheIsBounded(t *testing.T) {
	start := time.Now()
	c := ResumeReplayCache(640, start, nil)
	refused := 0
	for i := range 5000 {
		if err := claimAt(c, itoa(int64(i)), start); err != nil {
			wantReason(t, err, ReasonReplayCacheFull)
			refused++
		}
	}
	if c.Len() > 640 || refused != 5000-c.Len() {
		t.Errorf("%d nonces kept, %d refused", c.Len(), refused)
	}
	// It serves again when a generation is over, and still remembers.
	must(t, claimAt(c, "later", start.Add(remember)))
	wantReason(t, claimAt(c, "0", start.Add(remember)), ReasonReplayed)
}

func TestReplayCacheRefusesWhatItCannotKnow(t *testing.T) {
	start := time.Now()
	c := NewReplayCache(0, start)
	for _, created := range []int64{0, -1, skewSeconds} { // an earlier process may have accepted them
		wantReason(t, c.claim("key", &Signature{Nonce: "n", Created: start.Unix() + created}, start), ReasonExpired)
	}
	must(t, c.claim("key", &Signature{Nonce: "first", Created: start.Unix() + skewSeconds + 1}, start.Add(time.Second)))
	c = ResumeReplayCache(0, start, nil)
	must(t, claimAt(c, "n", start))
	// The clock runs for a while, the nonce is dropped, then the clock is turned back.
	for i := range 2000 {
		must(t, claimAt(c, itoa(int64(i)), start.Add(3*remember)))
	}
	wantReason(t, claimAt(c, "n", start), ReasonExpired)
	// The same for a nonce that is dropped with calls all the time.
	c = ResumeReplayCache(0, start, nil)
	must(t, claimAt(c, "n", start))
	for _, later := range []time.Duration{0, remember, 2 * remember} {
		for i := range 2000 { // every shard has one of them
			must(t, claimAt(c, later.String()+itoa(int64(i)), start.Add(later)))
		}
	}
	wantReason(t, claimAt(c, "n", start), ReasonExpired)
}

// TestReplayCacheWithAClockThatWasAhead has a call that was created, and accepted, by clocks that were ahead, and comes
// again when the clocks, which were put right meanwhile, get to that time.
func TestReplayCacheWithAClockThatWasAhead(t *testing.T) {
	start := time.Now()
	for _, ahead := range []time.Duration{3 * remember, 10 * remember, time.Hour} {
		for _, step := range []time.Duration{remember, 2*remember + time.Second} {
			c := ResumeReplayCache(0, start, nil)
			sig := &Signature{Nonce: "n", Created: start.Add(ahead).Unix()}
			must(t, c.claim("key", sig, start))
			for at := step; at <= ahead; at += step {
				for i := range 500 { // in all shards; some of these are refused
					_ = claimAt(c, itoa(int64(at))+"."+itoa(int64(i)), start.Add(at))
				}
			}
			if c.claim("key", sig, start.Add(ahead)) == nil {
				t.Errorf("a call of clocks that were %v ahead was accepted twice", ahead)
			}
			must(t, claimAt(c, "n", start.Add(ahead+time.Second)))
		}
	}
}

func TestReplayCacheConcurrently(t *testing.T) {
	start := time.Now()
	c := ResumeReplayCache(0, start, nil)
	const nonces, each = 500, 8
	var accepted sync.Map
	var wg sync.WaitGroup
	for range each {
		wg.Go(func() {
			for _, n := range rand.Perm(nonces) {
				if claimAt(c, itoa(int64(n)), start) != nil {
					continue
				}
				if _, twice := accepted.LoadOrStore(n, true); twice {
					t.Errorf("nonce %d was accepted twice", n)
				}
			}
		})
	}
	wg.Wait()
	if c.Len() != nonces {
		t.Errorf("%d nonces, want %d", c.Len(), nonces)
	}
}

func TestWindow(t *testing.T) {
	type claim struct {
		n  uint64
		ok bool
	}
	tests := map[string][]claim{
		"in order":         {{1, true}, {2, true}, {3, true}, {2, false}, {3, false}},
		"out of order":     {{5, true}, {3, true}, {4, true}, {3, false}, {5, false}, {1, true}},
		"too late":         {{1, true}, {windowSize + 1, true}, {1, false}, {2, true}, {2, false}},
		"at the edge":      {{windowSize, true}, {1, true}, {1, false}, {windowSize + 1, true}, {1, false}},
		"a jump":           {{1, true}, {10 * windowSize, true}, {9*windowSize + 1, true}, {9 * windowSize, false}},
		"same bit, later":  {{7, true}, {7 + windowSize, true}, {7 + windowSize, false}, {8, true}},
		"the last counts":  {{math.MaxUint64, true}, {math.MaxUint64, false}, {math.MaxUint64 - 1, true}, {1, false}},
		"a jump by one":    {{63, true}, {64, true}, {65, true}, {64, false}},
		"half a window on": {{windowSize / 2, true}, {windowSize, true}, {windowSize/2 + 1, true}, {windowSize / 2, false}},
	}
	for name, claims := range tests {
		t.Run(name, func(t *testing.T) {
			var w window
			for i, c := range claims {
				if got := w.claim(c.n); got != c.ok {
					t.Fatalf("claim %d of %d: %t, want %t", i, c.n, got, c.ok)
				}
			}
		})
	}
}

// The window never accepts a count twice, and accepts all that are near the last.
func TestWindowAgainstMap(t *testing.T) {
	var w window
	seen := map[uint64]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		n := w.last + 100
		if back := r.Uint64N(3 * windowSize / 2); back < n {
			n -= back
		}
		if n == 0 {
			continue
		}
		want := !seen[n] && (n > w.last || w.last-n < windowSize)
		if got := w.claim(n); got != want {
			t.Fatalf("claim of %d after %d: %t, want %t", n, w.last, got, want)
		}
		seen[n] = true
	}
}

func TestSessionNonces(t *testing.T) {
	p := newPair(t)
	for _, nonce := range []string{"", "0", "-1", "01", "+1", " 1", "1 ", "x", "18446744073709551616"} {
		wantReason(t, p.callee.claim(&Signature{Nonce: nonce}, p.now), ReasonMalformed)
	}
	must(t, p.callee.claim(&Signature{Nonce: "18446744073709551615"}, p.now))
}

func TestSessionConcurrently(t *testing.T) {
	p := newPair(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				sc, err := SignCall(p.caller, p.call(), p.now)
				if err == nil {
					err = VerifyCall(p.callee, p.tax.ID(), sc, p.now)
				}
				var sr *SignedReturn
				if err == nil {
					sr, err = SignReturn(p.callee, sc, Return{Status: 200, Body: sc.Call.Body}, p.now)
				}
				if err == nil {
					err = VerifyReturn(p.caller, sc, sr, p.now)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// kept is a Horizon in memory.
type kept struct {
	at     int64
	raised int
	fails  error
}

func (k *kept) Reached() int64 { return k.at }
func (k *kept) Raise(to int64) error {
	if k.fails != nil {
		return k.fails
	}
	k.at = to
	k.raised++
	return nil
}

// TestReplaysAcrossRestarts has clients whose clocks are ahead or behind, and a process that ends between two tries.
func TestReplaysAcrossRestarts(t *testing.T) {
	start := time.Now()
	for _, ahead := range []int64{-60, -10, -1, 0, 1, 5, 9, skewSeconds} {
		for _, away := range []time.Duration{0, time.Second, 5 * time.Second, 20 * time.Second} {
			sig := &Signature{Nonce: "n", Created: start.Unix() + ahead}
			disk := new(kept)
			must(t, ResumeReplayCache(0, start.Add(-time.Hour), disk).claim("key", sig, start))
			again := start.Add(away)
			for what, c := range map[string]*ReplayCache{
				"with a horizon": ResumeReplayCache(0, again, disk), "with nothing": NewReplayCache(0, again),
			} {
				wantReason(t, c.claim("key", sig, again), ReasonExpired)
				// A client that signs anew gets through: soon if it is known what was accepted.
				wait := time.Duration(0)
				if what == "with a horizon" {
					wait = max(0, time.Duration(ahead+horizonStep+1)*time.Second-away)
				} else {
					wait = ClockSkew + time.Second
				}
				must(t, c.claim("key", &Signature{Nonce: "m", Created: again.Add(wait).Unix()}, again.Add(wait)))
			}
		}
	}
}

func TestHorizonIsRaisedFirst(t *testing.T) {
	start := time.Now()
	disk := &kept{fails: errors.New("the disk is full")}
	c := ResumeReplayCache(0, start, disk)
	wantReason(t, claimAt(c, "n", start), ReasonReplayCacheFull)
	if c.Len() != 0 {
		t.Error("a call is remembered that was refused")
	}
	disk.fails = nil
	must(t, claimAt(c, "n", start)) // it was not accepted before
	for i := range 1000 {
		must(t, claimAt(c, itoa(int64(i)), start))
	}
	if disk.raised != 1 || disk.at != start.Unix()+horizonStep {
		t.Errorf("raised %d times, to %d", disk.raised, disk.at)
	}
	for i := range int64(20) {
		must(t, claimAt(c, "later"+itoa(i), start.Add(time.Duration(i)*time.Second)))
		if disk.at < start.Unix()+i {
			t.Errorf("a call was accepted beyond the horizon %d", disk.at)
		}
	}
	if disk.raised > 11 {
		t.Errorf("raised %d times within 20 s", disk.raised)
	}
}
