package link

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"countersign/vaultsign/callsig"
)

// alternative is one way to make a call.
type alternative struct {
	name string
	call func(body []byte) []byte
}

// figures are what one alternative took in one round.
type figures struct {
	p50, p99       float64 // µs
	perSecond      float64
	allocs, memory float64 // per call, at both ends
}

// compare measures alternatives in turn, round by round, so that a machine whose speed drifts treats them alike, and
// prints the medians over the rounds. concurrency callers make n calls in all.
func compare(b *testing.B, what string, concurrency, n, rounds int, body []byte, alternatives []alternative) {
	all := make([][]figures, len(alternatives))
	for _, a := range alternatives {
		measure(b, concurrency, n/5+concurrency, body, a.call)
	}
	for range rounds {
		for i, a := range alternatives {
			all[i] = append(all[i], measure(b, concurrency, n, body, a.call))
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\tp50 µs\tp99 µs\tcalls/s\tallocs\tbytes\tratio of p50\tof p99\tof calls/s\t\n", what)
	var first figures
	for i, a := range alternatives {
		m := median(all[i])
		if i == 0 {
			first = m
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", a.name, m.p50, m.p99, m.perSecond, m.allocs, m.memory,
			m.p50/first.p50, m.p99/first.p99, m.perSecond/first.perSecond)
		b.ReportMetric(m.p50/first.p50, strings.ReplaceAll(what+"-"+a.name, " ", "-")+"-ratio")
	}
	w.Flush()
}

func measure(b *testing.B, concurrency, n int, body []byte, call func([]byte) []byte) figures {
	each := max(1, n/concurrency)
	times := make([]float64, concurrency*each)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	var wg sync.WaitGroup
	for g := range concurrency {
		wg.Go(func() {
			for i := range each {
				at := time.Now()
				if got := call(body); len(got) != len(body) {
					b.Errorf("an answer of %d bytes", len(got))
				}
				times[g*each+i] = float64(time.Since(at).Nanoseconds()) / 1e3
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	count := float64(len(times))
	return figures{p50: times[len(times)/2], p99: times[len(times)*99/100], perSecond: count / took.Seconds(),
		allocs: float64(after.Mallocs-before.Mallocs) / count, memory: float64(after.TotalAlloc-before.TotalAlloc) / count}
}

func median(rounds []figures) figures {
	of := func(value func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = value(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figures{of(func(f figures) float64 { return f.p50 }), of(func(f figures) float64 { return f.p99 }),
		of(func(f figures) float64 { return f.perSecond }), of(func(f figures) float64 { return f.allocs }),
		of(func(f figures) float64 { return f.memory })}
}

// ours makes a function that calls through a link whose signatures cover at most batch messages each; 0 is the default.
func ours(b *testing.B, batch int, answer func([]byte) []byte) (*parties, func([]byte) []byte) {
	f := newFixture(b, func(c *ServerConfig) { c.Replay, c.Batch = callsig.ResumeReplayCache(1<<23, time.Now(), nil), batch })
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.run = func(_ context.Context, c *callsig.Call) (callsig.Return, error) {
		return callsig.Return{Status: 200, Body: answer(c.Body)}, nil
	}
	p, to := f.pool(func(c *PoolConfig) { c.Batch = batch }), f.target(tax)
	return &parties{f.trust, quote.Identity(), tax.Identity(), answer}, func(body []byte) []byte {
		a, err := p.Call(context.Background(), quote, to, func(Terms) callsig.Call {
			return callsig.Call{Caller: quote.Identity().ID(), Callee: to.Function, Deadline: time.Now().Add(time.Minute), ID: "bench", Body: body}
		})
		if err != nil {
			b.Error(err)
			return nil
		}
		return a.Return.Return.Body
	}
}

// BenchmarkRemoteRatios compares a signed call between two nodes with unary gRPC calls to the same Go function, all over
// TCP on loopback with mutual TLS 1.3 and the same kind of certificates. "Each by itself" does not let calls that wait at
// the same moment share a signature.
func BenchmarkRemoteRatios(b *testing.B) {
	answer := func(in []byte) []byte { return bytes.ToLower(in) }
	p, together := ours(b, 0, answer)
	_, alone := ours(b, 1, answer)
	alternatives := []alternative{
		{"countersign", together},
		{"countersign, each by itself", alone},
		{"gRPC, signed", p.signed(b)},
		{"gRPC, unsigned", p.unsigned(b)},
	}
	for b.Loop() {
		for _, concurrency := range []int{1, 16, 128} {
			for _, size := range []int{100, 1 << 10, 64 << 10} {
				n := 400 + 100*min(concurrency, 16)
				if size > 1<<10 {
					n /= 2
				}
				compare(b, fmt.Sprintf("%d B, %d at a time", size, concurrency), concurrency, n, 7, bytes.Repeat([]byte("x"), size), alternatives)
			}
		}
	}
}
