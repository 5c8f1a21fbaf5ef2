package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/wasm"
	"countersign/router"
)

// alternative is one way to do what a benchmark compares.
type alternative struct {
	name string
	run  func(n int) // does it n times
}

// compare measures alternatives in turn, round by round, so that a machine whose speed drifts treats them alike, and
// prints the median time of one run of each and its ratio to the first.
func compare(b *testing.B, what string, n, rounds int, alternatives []alternative) {
	times := make([][]float64, len(alternatives))
	for _, a := range alternatives {
		a.run(max(1, n/10))
	}
	for range rounds {
		for i, a := range alternatives {
			began := time.Now()
			a.run(n)
			times[i] = append(times[i], float64(time.Since(began).Nanoseconds())/float64(n))
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\tmedian\tmin\tmax\tratio\t\n", what)
	first := 0.0
	for i, a := range alternatives {
		slices.Sort(times[i])
		median := times[i][rounds/2]
		if i == 0 {
			first = median
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t\n", a.name, duration(median), duration(times[i][0]), duration(times[i][rounds-1]), median/first)
		b.ReportMetric(median/first, strings.ReplaceAll(a.name, " ", "-")+"-ratio")
	}
	w.Flush()
}

func duration(ns float64) time.Duration {
	d := time.Duration(ns)
	if d > 100*time.Microsecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Nanosecond)
}

// unsigned calls as an instance does, without signatures: its callees run in a runtime.
type unsigned struct {
	host    *Host
	task    *task
	callees runtime.Instance
}

func (u unsigned) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) ([]byte, error) {
	_, err := u.host.calls.Route(&router.Query{Caller: u.task.request.Function, Callee: callee,
		Allowed: func(name string) bool { return slices.Contains(u.task.spec.Calls, name) }})
	if err != nil {
		return nil, err
	}
	return u.callees.Invoke(ctx, &countersign.Invocation{ID: "1", Caller: "nobody", Function: callee, Deadline: parent.Deadline, Body: request})
}

// BenchmarkCallRatios compares a call between two WebAssembly functions of one host, signed and verified both ways,
// with the same call unsigned, and with what a unary gRPC call to a native Go function costs. The payload is a JSON
// object with 128 bytes of text, which every alternative decodes and encodes: within WebAssembly at both ends in the
// first two. "Go function" is the signed path with a callee like gRPC's, so that those three differ in transport alone.
func BenchmarkCallRatios(b *testing.B) {
	f := newFixture(b)
	echoing := f.run("echo", hclspec.Function{}, func(t *task) { f.load(t, guest(b, "wasm/testdata/guests/echo")) })
	relay := f.run("relay", hclspec.Function{Calls: []string{"echo"}}, func(t *task) { f.load(t, guest(b, "testdata/relay")) })
	bare, err := f.host.engine.Load(context.Background(), guest(b, "testdata/relay"), wasm.Options{
		Options: runtime.Options{Function: "relay", Limits: limits.Limits{Memory: 128 << 20}, Caller: unsigned{f.host, relay, echoing.runtime}}})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close(context.Background())
	text := strings.Repeat("x", 128)
	through := func(r runtime.Instance) func(int) {
		return func(n int) {
			body, err := json.Marshal(map[string]any{"times": n, "text": text})
			if err != nil {
				b.Fatal(err)
			}
			in := &countersign.Invocation{ID: "1", Function: "relay", Deadline: time.Now().Add(time.Minute), Body: body}
			if _, err := r.Invoke(context.Background(), in); err != nil {
				b.Fatal(err)
			}
		}
	}
	body := []byte(`{"text":"` + text + `"}`)
	echoed := func(b []byte) []byte {
		var m struct {
			Text string `json:"text"`
		}
		if json.Unmarshal(b, &m) != nil {
			return nil
		}
		out, _ := json.Marshal(m)
		return out
	}
	repeat := func(call func([]byte) []byte) func(int) {
		return func(n int) {
			for range n {
				if len(call(body)) == 0 {
					b.Fatal("no answer")
				}
			}
		}
	}
	f.run("answer", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		return echoed(in.Body), nil
	}))
	asker := f.run("asker", hclspec.Function{Calls: []string{"answer"}}, running(nil))
	local := func(body []byte) []byte {
		in := &countersign.Invocation{Function: "asker", Deadline: time.Now().Add(time.Minute)}
		reply, err := outbound{asker}.Call(context.Background(), in, "answer", body)
		if err != nil {
			b.Fatal(err)
		}
		return reply
	}
	ns := newNodes(b, 2)
	far := ns.run(0, "asker", hclspec.Function{Calls: []string{"answer"}}, running(nil))
	ns.run(1, "answer", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		return echoed(in.Body), nil
	}))
	ns.publish()
	remote := func(body []byte) []byte {
		in := &countersign.Invocation{Function: "asker", Deadline: time.Now().Add(time.Minute)}
		reply, err := outbound{far}.Call(context.Background(), in, "answer", body)
		if err != nil {
			b.Fatal(err)
		}
		return reply
	}
	for b.Loop() {
		compare(b, "a call within a host and between hosts", 2000, 15, []alternative{
			{"signed, wasm to wasm", through(relay.runtime)},
			{"unsigned, wasm to wasm", through(bare)},
			{"signed, Go function", repeat(local)},
			{"gRPC, unix socket, unsigned", repeat(grpcUnix(b, echoed))},
			{"gRPC, loopback, mutual TLS", repeat(grpcMutualTLS(b, echoed))},
			{"signed, Go function, other host", repeat(remote)},
		})
	}
}

// BenchmarkStartRatios compares the ways in which an instance comes to life.
func BenchmarkStartRatios(b *testing.B) {
	module := guest(b, "wasm/testdata/guests/echo")
	options := wasm.Options{
		Options: runtime.Options{Function: "echo", Limits: limits.Limits{Memory: 128 << 20, MaxReply: 1 << 20}}}
	in := func() *countersign.Invocation {
		return &countersign.Invocation{ID: "1", Function: "echo", Deadline: time.Now().Add(time.Minute), Body: []byte(`{"text":"x"}`)}
	}
	load := func(dir string) {
		e, err := wasm.NewEngine(dir)
		if err != nil {
			b.Fatal(err)
		}
		i, err := e.Load(context.Background(), module, options)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := i.Invoke(context.Background(), in()); err != nil {
			b.Fatal(err)
		}
		if err := i.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		if err := e.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	base, warm := b.TempDir(), filepath.Join(b.TempDir(), "warm")
	cold := 0
	e, err := wasm.NewEngine(filepath.Join(base, "pool"))
	if err != nil {
		b.Fatal(err)
	}
	pool, err := e.Load(context.Background(), module, options)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close(context.Background())
	each := func(f func()) func(int) {
		return func(n int) {
			for range n {
				f()
			}
		}
	}
	for b.Loop() {
		compare(b, "first call of an instance", 1, 5, []alternative{
			{"from the pool", each(func() {
				if _, err := pool.Invoke(context.Background(), in()); err != nil {
					b.Fatal(err)
				}
			})},
			{"with the compilation cache", each(func() { load(warm) })},
			{"cold", each(func() { cold++; load(filepath.Join(base, fmt.Sprint(cold))) })},
		})
	}
}
