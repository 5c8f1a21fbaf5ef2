package wasm

import (
	"context"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime/limits"
)

const benchBody = `{"text":"a request of a hundred bytes, which is about as long as the small ones of real life are"}`

// BenchmarkInvoke is a call of a function that decodes and encodes about a hundred bytes of JSON.
func BenchmarkInvoke(b *testing.B) {
	echo := loadGuest(b, "echo", Options{})
	benchmarkInvoke(b, echo, benchBody)
}

// BenchmarkInvokeRaw is a call of a hand-assembled module that answers without looking: the host's share.
func BenchmarkInvokeRaw(b *testing.B) {
	benchmarkInvoke(b, loadModule(b, fixedReply("{}").encode(), named("raw", limits.Limits{})), benchBody)
}

func benchmarkInvoke(b *testing.B, i *Instance, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	in := invocation(body)
	before := i.Usage()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Invoke(ctx, in); err != nil {
			b.Fatal(err)
		}
	}
	after := i.Usage()
	b.ReportMetric(float64(after.CPU-before.CPU)/float64(after.Calls-before.Calls), "guest-cpu-ns/op")
}

// BenchmarkNestedCall is a function that calls another.
func BenchmarkNestedCall(b *testing.B) {
	adder := loadGuest(b, "adder", Options{})
	caller := loadGuest(b, "caller", calling(
		func(ctx context.Context, parent *countersign.Invocation, callee string, req []byte) ([]byte, error) {
			return adder.Invoke(ctx, &countersign.Invocation{ID: "nested", Function: callee, Hops: 1, Body: req})
		}))
	benchmarkInvoke(b, caller, `{"callee":"adder","request":{"terms":[2,3]}}`)
}

// BenchmarkInstantiate is the replacement of a sandbox: Go's runtime and the packages' initialisation.
func BenchmarkInstantiate(b *testing.B) {
	echo := loadGuest(b, "echo", limited(limits.Limits{Concurrency: 2}))
	for b.Loop() {
		s, err := echo.newSandbox(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		s.close()
	}
}

// BenchmarkLoadCached is a start with compiled code on disk.
func BenchmarkLoadCached(b *testing.B) {
	for b.Loop() {
		i, err := engine.Load(context.Background(), guests["echo"], named("echo", limits.Limits{Memory: 64 << 20}))
		if err != nil {
			b.Fatal(err)
		}
		if err := i.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
