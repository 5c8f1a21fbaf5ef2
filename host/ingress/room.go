package ingress

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sync/semaphore"
)

// room is how much of something there may be at a time. A quarter of it is kept for other hosts, which prove by a
// function's certificate that they are some: whoever else can reach the port must not keep them out.
type room struct{ all, outside *semaphore.Weighted }

func newRoom(n int64) *room {
	return &room{all: semaphore.NewWeighted(n), outside: semaphore.NewWeighted(n - n/4)}
}

// take takes n for another host, or for whoever else.
func (r *room) take(n int64, host bool) bool {
	if !host && !r.outside.TryAcquire(n) {
		return false
	}
	if !r.all.TryAcquire(n) {
		if !host {
			r.outside.Release(n)
		}
		return false
	}
	return true
}

// give gives back what take took.
func (r *room) give(n int64, host bool) {
	r.all.Release(n)
	if !host {
		r.outside.Release(n)
	}
}

// source is where a connection comes from: an IPv4 address, or an IPv6 network of 64 bits, in which one machine has as
// many addresses as it likes. The zero source is one of which that is not known.
type source struct{ netip.Prefix }

// sourceOf returns the source of a remote address, host:port.
func sourceOf(remote string) source {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return source{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return source{}
	}
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return source{}
	}
	return source{p}
}

// shares counts what each source has of something, so that none has all of it.
type shares struct {
	most int // of one source

	mu    sync.Mutex
	taken map[source]int
}

func newShares(most int) *shares { return &shares{most: max(1, most), taken: map[source]int{}} }

func (s *shares) take(from source) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[from] >= s.most {
		return false
	}
	s.taken[from]++
	return true
}

func (s *shares) give(from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[from]--; s.taken[from] == 0 {
		delete(s.taken, from)
	}
}
