package native

import (
	"sync"

	"countersign"
	"countersign/host/runtime/limits"
)

// charge is what the host holds for one call of a function or by it, booked with the instance's account of such bytes:
// they are the host's memory, which the function's cgroup does not see.
type charge struct {
	account *limits.Memory
	mu      sync.Mutex
	n       int64
	ended   bool
}

// take books n bytes and what a call costs beside, or returns nil.
func take(account *limits.Memory, n int64) *charge { return book(account, n, account.Take) }

// takeWaiting does so for a call that waits.
func takeWaiting(account *limits.Memory, n int64) *charge {
	return book(account, n, account.TakeOfHalf)
}

func book(account *limits.Memory, n int64, take func(int64) bool) *charge {
	n += limits.PerCall
	if !take(n) {
		return nil
	}
	return &charge{account: account, n: n}
}

// change makes the charge one for n bytes, such as those of a reply instead of a request, or leaves it and returns false.
func (c *charge) change(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n += limits.PerCall
	if c.ended || n > c.n && !c.account.Take(n-c.n) {
		return false
	}
	if n < c.n {
		c.account.Give(c.n - n)
	}
	c.n = n
	return true
}

// end gives everything back. It may be called more than once.
func (c *charge) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account.Give(c.n)
	c.n, c.ended = 0, true
}

// full is the failure of a call that the host has no room for.
func (i *Instance) full() *countersign.CallError {
	return i.options.Errorf(countersign.CodeOverloaded,
		"the host holds as much of its requests, replies and calls as its spec's %d bytes of memory allow", i.options.Memory)
}
