package network

import (
	"sync"
	"time"
)

// bucket bounds a rate. What is moved is paid for afterwards, so that a datagram passes as a whole; nothing more moves until
// the debt is paid.
type bucket struct {
	rate  float64 // bytes per second
	burst float64

	mu    sync.Mutex
	bytes float64 // may be moved; less than 0 is a debt
	at    time.Time
}

// minBurst is what may be moved at once at the slowest rate: a datagram, or what fills a packet or two.
const minBurst = 4 << 10

// newBucket returns a full bucket, or nil for no bound.
func newBucket(rate int64) *bucket {
	if rate == 0 {
		return nil
	}
	burst := max(float64(rate)/10, minBurst)
	return &bucket{rate: float64(rate), burst: burst, bytes: burst, at: time.Now()}
}

// allowed returns how many of n bytes may be moved now; if it is none, then how long to wait.
func (b *bucket) allowed(n int) (int, time.Duration) {
	if b == nil {
		return n, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.bytes = min(b.burst, b.bytes+b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.bytes < 1 {
		return 0, time.Duration((1 - b.bytes) / b.rate * float64(time.Second))
	}
	return min(n, int(b.bytes)), 0
}

func (b *bucket) pay(n int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= float64(n)
}
