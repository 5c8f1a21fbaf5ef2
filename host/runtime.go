package host

import (
	"context"
	"io"
	goruntime "runtime"
	"time"

	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/native"
	"countersign/host/wasm"
)

// platform is what native executables are chosen by, as in an artifact: linux/amd64 or linux/arm64.
const platform = goruntime.GOOS + "/" + goruntime.GOARCH

// prewarmed is how many instances of a module are made before its first call, if its spec counts on so many calls at once:
// a new allocation gets the calls of its node at once, and to make an instance takes longer than many calls.
const prewarmed = 4

// prewarmMemory is how much memory, in bytes, a function must have for each of them: what is idle, a few MiB, is missing
// to the calls that run.
const prewarmMemory = 16 << 20

// runtime loads the verified artifact into the runtime that its spec names.
func (s *start) runtime(ctx context.Context, stdout, stderr io.Writer) (runtime, error) {
	r, caller := s.spec.Resources, s.task.instance
	if s.spec.Runtime == hclspec.RuntimeNative {
		in, err := native.Start(s.loaded.Native[platform], native.Options{Function: s.spec.Name, Memory: r.Memory,
			Concurrency: r.Concurrency, Stdout: stdout, Stderr: stderr, Caller: caller, MaxReply: s.spec.Call.MaxResponse,
			CgroupPath: s.request.CgroupPath})
		if err != nil {
			return nil, err
		}
		return nativeRuntime{in}, nil
	}
	in, err := s.host.engine.Load(ctx, s.loaded.Wasm, wasm.Options{Function: s.spec.Name, Memory: r.Memory,
		Concurrency: r.Concurrency, Stdout: stdout, Stderr: stderr, Caller: caller, MaxReply: s.spec.Call.MaxResponse,
		Prewarm: max(1, min(prewarmed, s.spec.Scaling.TargetConcurrency, int(r.Memory/prewarmMemory)))})
	if err != nil {
		return nil, err
	}
	return wasmRuntime{in}, nil
}

// wasmRuntime makes a runtime of a WebAssembly instance.
type wasmRuntime struct{ *wasm.Instance }

// Stats implements runtime.
func (r wasmRuntime) Stats() control.Stats { return statsOf(r.Instance.Stats()) }

// nativeRuntime makes a runtime of a native instance.
type nativeRuntime struct{ *native.Instance }

// Stats implements runtime.
func (r nativeRuntime) Stats() control.Stats { return statsOf(wasm.Stats(r.Instance.Stats())) }

// statsOf dates what a runtime measured. Both runtimes measure the same.
func statsOf(s wasm.Stats) control.Stats {
	return control.Stats{Time: time.Now(), CPU: s.CPU, MemoryBytes: s.MemoryBytes, MemoryMax: s.MemoryMax,
		Instances: s.Instances, InFlight: s.InFlight, Calls: s.Calls, Failures: s.Failures}
}
