package wasm

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

type faultReply struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

func TestFaultsEndTheCallAndNothingElse(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	faults := loadGuest(t, "faults", limited(limits.Limits{Concurrency: 1, MaxReply: 1 << 20}))
	tests := []struct {
		name, body string
		timeout    time.Duration
		code       countersign.Code
		reason     string
		survives   bool // the sandbox is used again
	}{
		{"panic", `{"fault":"panic"}`, 30 * time.Second, countersign.CodePanicked, "deliberate", false},
		{"panic in a goroutine", `{"fault":"goroutine panic"}`, 30 * time.Second, countersign.CodePanicked,
			"deliberate, in a goroutine", false},
		{"runtime panic", `{"fault":"nil map"}`, 30 * time.Second, countersign.CodePanicked, "nil map", false},
		{"deadlock", `{"fault":"deadlock"}`, 30 * time.Second, countersign.CodePanicked, "deadlock", false},
		{"busy loop", `{"fault":"loop"}`, 200 * time.Millisecond, countersign.CodeDeadline, "", false},
		{"loop of bulk copies", `{"fault":"copy loop"}`, 200 * time.Millisecond, countersign.CodeDeadline, "", false},
		{"sleep", `{"fault":"sleep","size":60000}`, 200 * time.Millisecond, countersign.CodeDeadline, "", false},
		{"allocates for ever", `{"fault":"allocate"}`, 30 * time.Second, countersign.CodeOutOfMemory, "67108864", false},
		{"recursion", `{"fault":"recursion"}`, time.Minute, countersign.CodeOutOfMemory, "", false},
		{"exit", `{"fault":"exit","size":7}`, 30 * time.Second, countersign.CodeExited, "status 7", false},
		{"exit without error", `{"fault":"exit"}`, 30 * time.Second, countersign.CodeExited, "status 0", false},
		{"huge reply", `{"fault":"huge","size":2000000}`, 30 * time.Second, countersign.CodeTooLarge, "1048576", false},
		{"not JSON", `{"fault"`, 30 * time.Second, countersign.CodeBadRequest, "does not fit", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := count(t, faults)
			start := time.Now()
			_, err := invoke(faults, tt.timeout, tt.body)
			if took := time.Since(start); took > tt.timeout+30*time.Second {
				t.Errorf("it took %v to end a call with %v to live", took, tt.timeout)
			}
			if failure := wantCode(t, err, tt.code); !strings.Contains(failure.Reason, tt.reason) {
				t.Errorf("reason %q does not contain %q", failure.Reason, tt.reason)
			}
			after := count(t, faults)
			if reused := after > before; reused != tt.survives {
				t.Errorf("sandbox used again: %v, want %v (it handled %d calls, then %d)", reused, tt.survives, before, after)
			}
			mustAdd(t, adder)
		})
	}
	if s := faults.Usage(); s.OOMs != 2 || s.Failures != int64(len(tests)) || s.InFlight != 0 {
		t.Errorf("stats %+v, want 2 out of memory and %d failures", s, len(tests))
	}
}

// count makes a call that works and tells how many its sandbox has handled.
func count(t *testing.T, faults *Instance) int {
	t.Helper()
	body, err := invoke(faults, 30*time.Second, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	return decode[faultReply](t, body).Count
}

func TestOthersRunWhileOneLoops(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	faults := loadGuest(t, "faults", limited(limits.Limits{Concurrency: 4}))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := faults.Invoke(ctx, invocation(`{"fault":"loop"}`))
			ended <- err
		}()
	}
	untilLent(faults, 4)
	for range 20 {
		mustAdd(t, adder)
	}
	cancel()
	for range 4 {
		wantCode(t, <-ended, countersign.CodeCanceled)
	}
}

func TestMemoryIsSharedByAllSandboxes(t *testing.T) {
	const memory = 48 << 20
	faults := loadGuest(t, "faults", limited(limits.Limits{Memory: memory, Concurrency: 8}))
	ended := make(chan error, 16)
	for range 16 {
		go func() {
			_, err := invoke(faults, 60*time.Second, `{"fault":"keep","size":8000000}`)
			ended <- err
		}()
	}
	for range 16 {
		if err := <-ended; err != nil {
			// Alone, one that keeps what several calls left has no room for another; the others would have.
			if code := countersign.CodeOf(err); code != countersign.CodeOutOfMemory && code != countersign.CodeOverloaded {
				t.Errorf("got error %v", err)
			}
		}
	}
	s := faults.Usage()
	if s.MemoryMax > memory || s.MemoryBytes > s.MemoryMax {
		t.Errorf("memory %d now and %d at most, with %d allowed", s.MemoryBytes, s.MemoryMax, memory)
	}
	if body, err := invoke(faults, 30*time.Second, `{}`); err != nil {
		t.Errorf("afterwards: %s, %v", body, err)
	}
}

// TestMemoryThatOtherCallsHold has calls that would have had memory enough alone, and one that would not.
func TestMemoryThatOtherCallsHold(t *testing.T) {
	o := limited(limits.Limits{Memory: 64 << 20, Concurrency: 2})
	var made atomic.Int32
	o.Caller = callerFunc(func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) {
		made.Add(1)
		return []byte("{}"), nil
	})
	faults := loadGuest(t, "faults", o)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := faults.Invoke(ctx, invocation(`{"fault":"keep and wait","size":30000000}`))
		ended <- err
	}()
	for faults.Usage().MemoryBytes < 30_000_000 {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	for fault, want := range map[string]countersign.Code{
		`{"fault":"keep","size":30000000}`: countersign.CodeOverloaded,
		`{"fault":"keep","size":70000000}`: countersign.CodeOutOfMemory,
		// It must not be made again elsewhere after it has called another function.
		`{"fault":"call and keep","size":30000000}`: countersign.CodeOutOfMemory,
	} {
		before := faults.Usage().OOMs
		_, err := invoke(faults, time.Minute, fault)
		wantCode(t, err, want)
		if faults.Usage().OOMs != before+1 {
			t.Errorf("%s: not counted as an end for want of memory", fault)
		}
	}
	if made.Load() != 1 {
		t.Errorf("%d calls were made, want one", made.Load())
	}
	cancel()
	wantCode(t, <-ended, countersign.CodeCanceled)
	if _, err := invoke(faults, time.Minute, `{"fault":"keep","size":30000000}`); err != nil {
		t.Errorf("alone: %v", err)
	}
}

func TestIdleSandboxesMakeRoom(t *testing.T) {
	faults := loadGuest(t, "faults", Options{Prewarm: 4,
		Options: runtime.Options{Limits: limits.Limits{Memory: 48 << 20, Concurrency: 4}}})
	before := faults.Usage()
	if before.Sandboxes != 4 {
		t.Fatalf("%d sandboxes were prewarmed, want 4", before.Sandboxes)
	}
	size := 48<<20 - int(before.MemoryBytes)/4 - 6<<20 // fits beside one sandbox, not beside four
	if _, err := invoke(faults, 30*time.Second, fmt.Sprintf(`{"fault":"keep","size":%d}`, size)); err != nil {
		t.Errorf("with %d bytes held by idle sandboxes: %v", before.MemoryBytes, err)
	}
}

func TestCPUTimeIsTheFunctionsOwn(t *testing.T) {
	faults := loadGuest(t, "faults", Options{})
	caller := loadGuest(t, "caller", calling(
		func(ctx context.Context, _ *countersign.Invocation, _ string, req []byte) ([]byte, error) {
			return faults.Invoke(ctx, invocation(string(req)))
		}))
	idle := caller.Usage().CPU
	const request = `{"callee":"faults","request":{"fault":"loop"},"timeout":300000000}`
	if _, err := invoke(caller, 30*time.Second, request); err != nil {
		t.Fatal(err)
	}
	callee, own := faults.Usage().CPU, caller.Usage().CPU-idle
	if callee < 20*time.Millisecond || callee > 400*time.Millisecond {
		t.Errorf("a busy loop of 300 ms counted as %v", callee)
	}
	if own > callee/2 {
		t.Errorf("waiting for the callee counted as %v of the caller", own)
	}
}
