package host

import (
	"context"
	"io"
	goruntime "runtime"
	"time"

	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/native"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/wasm"
)

// platform is what native executables are chosen by, as in an artifact: linux/amd64 or linux/arm64.
const platform = goruntime.GOOS + "/" + goruntime.GOARCH

// instance loads the verified artifact into the runtime that its spec names.
func (s *start) instance(ctx context.Context, stdout, stderr io.Writer) (runtime.Instance, error) {
	o := runtime.Options{Function: s.spec.Name, Stdout: stdout, Stderr: stderr, Caller: s.task.instance,
		Limits: limits.Limits{Memory: s.spec.Resources.Memory, Concurrency: s.spec.Resources.Concurrency,
			MaxReply: s.spec.Call.MaxResponse}}
	if s.spec.Runtime == hclspec.RuntimeNative {
		return started(native.Start(s.loaded.Native[platform], native.Options{Options: o, CgroupPath: s.request.CgroupPath}))
	}
	return started(s.host.engine.Load(ctx, s.loaded.Wasm,
		wasm.Options{Options: o, Prewarm: o.Ready(s.spec.Scaling.TargetConcurrency)}))
}

// started keeps an instance that is nil from looking like one.
func started[I runtime.Instance](in I, err error) (runtime.Instance, error) {
	if err != nil {
		return nil, err
	}
	return in, nil
}

// stats dates what the task has used.
func (t *task) stats() control.Stats {
	u := t.runtime.Usage()
	return control.Stats{Time: time.Now(), CPU: u.CPU, MemoryBytes: u.MemoryBytes, MemoryMax: u.MemoryMax,
		Sandboxes: u.Sandboxes, InFlight: u.InFlight, Calls: u.Calls, Failures: u.Failures}
}
