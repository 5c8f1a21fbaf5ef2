package router

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// services is a snapshot of n functions with three endpoints and an intention each. Every function has a splitter over
// two releases.
func services(n int) Snapshot {
	s := Snapshot{Distances: map[string]time.Duration{"n0": 0, "n1": time.Millisecond, "n2": time.Second}}
	for i := range n {
		name := fmt.Sprintf("function%d", i)
		var old, fresh []Listed
		for k := range 3 {
			l := Listed{Allocation: fmt.Sprintf("%s-%d", name, k), Node: fmt.Sprintf("n%d", k),
				Address: fmt.Sprintf("h%d:%d", k, i), Passing: true}
			if old = append(old, l); k == 2 {
				old, fresh = old[:2], old[2:]
			}
		}
		s.Chains = append(s.Chains, Chain{Function: name, Start: "s",
			Nodes: map[string]Node{"s": {Splits: []Split{{90, "old"}, {10, "new"}}},
				"old": {Resolver: &Resolver{Target: "old"}}, "new": {Resolver: &Resolver{Target: "new"}}},
			Targets: map[string]Target{"old": {Function: name, Endpoints: old}, "new": {Function: name, Endpoints: fresh}}})
		s.Functions = append(s.Functions, Function{Name: name})
		s.Intentions = append(s.Intentions, Intention{Source: "quote", Destination: name, Allow: true})
	}
	s.Intentions = append(s.Intentions, Intention{Source: "*", Destination: "*"})
	return s
}

func callees(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("function%d", (i*7919)%n)
	}
	return list
}

func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			var r testRouter
			r.Update(services(n))
			benchmarkRoute(b, &r, callees(n))
		})
	}
}

// BenchmarkRouteWhileUpdating is BenchmarkRoute while another goroutine updates the table at the pace of the catalog.
func BenchmarkRouteWhileUpdating(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			var r testRouter
			s := services(n)
			r.Update(s)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						r.Update(s)
					}
				}
			})
			benchmarkRoute(b, &r, callees(n))
			close(stop)
			wg.Wait()
		})
	}
}

// benchmarkRoute reports the time of the processor too, which other work on the machine lengthens less.
func benchmarkRoute(b *testing.B, r *testRouter, callees []string) {
	runtime.GC() // what making the table left
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	i, start := 0, threadTime(b)
	q := Query{Caller: "quote"}
	for b.Loop() {
		q.Callee = callees[i%len(callees)]
		i++
		if _, err := r.Route(&q); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(threadTime(b)-start)/float64(i), "cpu-ns/op")
}

// threadTime is the time for which this thread had a processor, in nanoseconds.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			var r testRouter
			s := services(n)
			b.ReportAllocs()
			for b.Loop() {
				r.Update(s)
			}
		})
	}
}

func TestRouteAllocatesNothing(t *testing.T) {
	everything := twoSubsets(Node{Routes: []Route{
		{Match: Match{Headers: []HeaderMatch{{Name: "x", Regex: "[0-9]+"}}}, Next: "split"}, {Next: "old"}}})
	everything.Nodes["split"] = Node{Splits: []Split{{33.33, "old"}, {33.33, "new"}, {33.34, "fx"}}}
	allowed := func(string) bool { return true }
	for _, policy := range []string{"", "random", "round_robin", "least_request", "ring_hash"} {
		for key, n := range everything.Nodes {
			n.Balance = Balance{Policy: policy, Hash: []HashOn{{Header: "x"}, {}}}
			everything.Nodes[key] = n
		}
		var r testRouter
		r.Add(&running{id: "old", function: "tax", inFlight: 0})
		s := services(100)
		s.Chains = append(s.Chains, everything)
		s.Intentions = append(s.Intentions, Intention{Source: "quote", Destination: "*", Allow: true})
		r.Update(s)
		tried := []*Endpoint{endpoint(t, &r, "function7", "function7-0")}
		ejected := endpoint(t, &r, "function8", "function8-0")
		ejected.Begin()
		ejected.EndUnreachable()
		for name, q := range map[string]*Query{
			"plain":   {Caller: "quote", Callee: "function5"},
			"tried":   {Caller: "quote", Callee: "function7", Tried: tried},
			"ejected": {Caller: "quote", Callee: "function8"},
			"headers": {Caller: "quote", Callee: "tax", Allowed: allowed, Header: headers("x", "12")},
			"local":   {Caller: "quote", Callee: "tax", Allowed: allowed},
		} {
			allocs := testing.AllocsPerRun(1000, func() {
				if c, err := r.Route(q); err != nil || c.Policy == nil {
					t.Fatalf("%+v, %v", c, err)
				}
			})
			if allocs != 0 {
				t.Errorf("policy %q, %s: %v allocations", policy, name, allocs)
			}
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	r := testRouter{Outlier: Outlier{Base: time.Microsecond, Failures: 1}}
	s := services(20)
	r.Update(s)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			in := &running{id: fmt.Sprintf("function3-%d", worker), function: "function3", inFlight: 0}
			for i := range 300 {
				switch c, err := r.Route(&Query{Caller: "quote", Callee: fmt.Sprintf("function%d", i%20)}); {
				case err != nil:
					t.Error(err)
				case c.Remote != nil:
					c.Remote.Begin()
					c.Remote.End((i+worker)%3 > 0)
				}
				if err := r.Permitted("quote", "function1"); err != nil {
					t.Error(err)
				}
				switch i % 20 {
				case 0:
					r.Add(in)
				case 10:
					r.Remove(in)
				case worker:
					r.Update(s)
				}
			}
		})
	}
	wg.Wait()
}
