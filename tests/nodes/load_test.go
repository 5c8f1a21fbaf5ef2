//go:build integration

package nodes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/client"
	"countersign/tests/harness"
	"countersign/vaultsign/callsig"
)

// load is a steady stream of calls from several clients, and what became of them.
type load struct {
	began time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex
	calls   int
	failed  map[string]int // by code
	last    time.Time      // when the last call that failed began
	first   time.Time      // when the first call that failed began
	slowest time.Duration
	example string // an error
}

const (
	callers = 4
	// perSecond is the usual rate, the sum over the callers.
	perSecond = 200
	patience  = 5 * time.Second // of a caller for one call
)

// startLoad makes perSecond calls of quote a second, see startLoadOf.
func startLoad(t testing.TB, nodes ...int) *load {
	t.Helper()
	return startLoadOf(t, perSecond, nodes...)
}

// startLoadOf makes rate calls of quote a second, spread over the hosts of nodes, until end. Clients ask another node when
// theirs can't be reached, as quote is idempotent.
func startLoadOf(t testing.TB, rate int, nodes ...int) *load {
	t.Helper()
	l := &load{began: time.Now(), failed: map[string]int{}}
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, hostOf(t, n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	for i := range callers {
		c := newClient(t, fmt.Sprintf("caller-%d", i))
		c.Explain, c.Idempotent = false, true
		turned := append(slices.Clone(addresses[i%len(addresses):]), addresses[:i%len(addresses)]...)
		c.Nodes = func(context.Context, string) ([]string, error) { return turned, nil }
		l.done.Go(func() { l.pace(ctx, c, time.Second*callers/time.Duration(rate)) })
	}
	return l
}

// warm waits until no call has failed for two seconds, and begins to count anew: instances are made as calls need them.
func (l *load) warm(t testing.TB) {
	t.Helper()
	harness.Eventually(t, "calls succeed before anything is broken", time.Minute, func() bool {
		l.mu.Lock()
		l.calls, l.failed, l.slowest, l.began = 0, map[string]int{}, 0, time.Now()
		l.first, l.last = time.Time{}, time.Time{}
		l.mu.Unlock()
		time.Sleep(2 * time.Second)
		return l.failures() == 0
	})
}

// pace begins a call at each interval, whatever becomes of those before.
func (l *load) pace(ctx context.Context, c *client.Client, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.done.Go(func() { l.one(c) })
		}
	}
}

func (l *load) one(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	_, err := c.Call(ctx, "quote", []byte(basket))
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.slowest = max(l.slowest, took)
	if err == nil {
		return
	}
	l.failed[codeOf(err)]++
	l.example = err.Error()
	if l.first.IsZero() {
		l.first = began
	}
	l.last = began
}

// codeOf names a failure: by the code of the call, or what the client says.
func codeOf(err error) string {
	var refused *client.RefusedError
	var call *countersign.CallError
	var signature *callsig.Error
	var broken *client.BrokenError
	var unreachable *client.UnreachableError
	switch {
	case errors.As(err, &refused):
		return string(refused.Code)
	case errors.As(err, &call):
		// A function hands on as its own failure that its callee had no time or no slot.
		for _, busy := range []countersign.Code{countersign.CodeDeadline, countersign.CodeOverloaded} {
			if call.Code == countersign.CodeFailed && strings.Contains(call.Reason, ": "+string(busy)+": ") {
				return string(busy)
			}
		}
		return string(call.Code)
	case errors.As(err, &signature):
		return string(signature.Reason)
	case errors.Is(err, context.DeadlineExceeded):
		return string(countersign.CodeDeadline)
	case errors.As(err, &broken):
		return "connection broke"
	case errors.As(err, &unreachable):
		return "no node reached"
	}
	return "other"
}

// end stops the load and waits for the calls under way.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// failures is how many calls failed.
func (l *load) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, k := range l.failed {
		n += k
	}
	return n
}

// lost is how many calls failed for another reason than want of time or of a slot: those that a fault has to do with.
// What a machine that is busy with other things lets time out is bounded by late.
func (l *load) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for code, k := range l.failed {
		if code != string(countersign.CodeDeadline) && code != string(countersign.CodeOverloaded) {
			n += k
		}
	}
	return n
}

// late tells whether more than one call in twenty had no time or no slot. If calls went on to a node that is gone, it
// would be one in three.
func (l *load) late() bool { return 20*(l.failures()-l.lost()) > l.calls }

// report says what became of the calls; fault is when something was broken.
func (l *load) report(fault time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []string
	n := 0
	for _, code := range slices.Sorted(maps.Keys(l.failed)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", l.failed[code], code))
		n += l.failed[code]
	}
	what, recovered := "none", "0 s"
	if n > 0 {
		what = strings.Join(kinds, ", ")
		recovered = l.last.Sub(fault).Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("%d calls in %s, %d failed (%s), last failure %s after the fault, slowest call %s",
		l.calls, time.Since(l.began).Round(time.Second), n, what, recovered, l.slowest.Round(time.Millisecond))
}
