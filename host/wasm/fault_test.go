package wasm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign"
)

type faultReply struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

func TestFaultsEndTheCallAndNothingElse(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	faults := loadGuest(t, "faults", Options{Concurrency: 1, MaxReply: 1 << 20})
	tests := []struct {
		name, body string
		timeout    time.Duration
		code       countersign.Code
		reason     string
		survives   bool // the instance is used again
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
				t.Errorf("instance used again: %v, want %v (it handled %d calls, then %d)", reused, tt.survives, before, after)
			}
			mustAdd(t, adder)
		})
	}
	if s := faults.Stats(); s.OOMs != 2 || s.Failures != int64(len(tests)) || s.InFlight != 0 {
		t.Errorf("stats %+v, want 2 out of memory and %d failures", s, len(tests))
	}
}

// count makes a call that works and tells how many its instance has handled.
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
	faults := loadGuest(t, "faults", Options{Concurrency: 4})
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

func TestOverloadedWhenNoInstanceGetsFree(t *testing.T) {
	faults := loadGuest(t, "faults", Options{Concurrency: 1})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := faults.Invoke(ctx, invocation(`{"fault":"loop"}`))
		ended <- err
	}()
	untilLent(faults, 1)
	_, err := invoke(faults, 50*time.Millisecond, `{}`)
	wantCode(t, err, countersign.CodeOverloaded)
	waiting := make(chan error)
	go func() {
		_, err := invoke(faults, 30*time.Second, `{}`)
		waiting <- err
	}()
	for faults.Stats().InFlight < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wantCode(t, <-ended, countersign.CodeCanceled)
	if err := <-waiting; err != nil {
		t.Errorf("a call that waited for the place of a stopped one got %v", err)
	}
}

func TestFunctionThatNoticesItsDeadline(t *testing.T) {
	faults := loadGuest(t, "faults", Options{})
	for range 5 {
		count(t, faults) // its one instance is free again: ending a call may take longer than the next one may
		_, err := invoke(faults, 200*time.Millisecond, `{"fault":"wait"}`)
		wantCode(t, err, countersign.CodeDeadline)
	}
}

func TestDeadlineOfTheInvocationHolds(t *testing.T) {
	faults := loadGuest(t, "faults", Options{})
	in := invocation(`{"fault":"loop"}`)
	in.Deadline = time.Now().Add(100 * time.Millisecond)
	_, err := faults.Invoke(context.Background(), in)
	wantCode(t, err, countersign.CodeDeadline)
}

func TestMemoryIsSharedByAllInstances(t *testing.T) {
	const memory = 48 << 20
	faults := loadGuest(t, "faults", Options{Memory: memory, Concurrency: 8})
	ended := make(chan error, 16)
	for range 16 {
		go func() {
			_, err := invoke(faults, 60*time.Second, `{"fault":"keep","size":8000000}`)
			ended <- err
		}()
	}
	for range 16 {
		if err := <-ended; err != nil {
			wantCode(t, err, countersign.CodeOutOfMemory)
		}
	}
	s := faults.Stats()
	if s.MemoryMax > memory || s.MemoryBytes > s.MemoryMax {
		t.Errorf("memory %d now and %d at most, with %d allowed", s.MemoryBytes, s.MemoryMax, memory)
	}
	if body, err := invoke(faults, 30*time.Second, `{}`); err != nil {
		t.Errorf("afterwards: %s, %v", body, err)
	}
}

func TestIdleInstancesMakeRoom(t *testing.T) {
	faults := loadGuest(t, "faults", Options{Memory: 48 << 20, Concurrency: 4, Prewarm: 4})
	before := faults.Stats()
	if before.Instances != 4 {
		t.Fatalf("%d instances were prewarmed, want 4", before.Instances)
	}
	size := 48<<20 - int(before.MemoryBytes)/4 - 6<<20 // fits beside one instance, not beside four
	if _, err := invoke(faults, 30*time.Second, fmt.Sprintf(`{"fault":"keep","size":%d}`, size)); err != nil {
		t.Errorf("with %d bytes held by idle instances: %v", before.MemoryBytes, err)
	}
}

func TestCloseWaits(t *testing.T) {
	called, leave := make(chan struct{}), make(chan struct{})
	caller := loadGuest(t, "caller", Options{Caller: callerFunc(
		func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) {
			close(called)
			<-leave
			return []byte(`{}`), nil
		})})
	ended, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := invoke(caller, time.Minute, `{"callee":"adder","request":{}}`)
		ended <- err
	}()
	<-called
	go func() { closed <- caller.Close(context.Background()) }()
	for !refuses(caller) {
		time.Sleep(time.Millisecond)
	}
	_, err := invoke(caller, time.Minute, `{"callee":"adder","request":{}}`)
	wantCode(t, err, countersign.CodeUnavailable)
	select {
	case err := <-closed:
		t.Errorf("Close did not wait for a call, and returned %v", err)
	default:
	}
	close(leave)
	if err := <-ended; err != nil {
		t.Errorf("a call that ended in time got %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestCloseStopsWhatDoesNotEnd(t *testing.T) {
	faults := loadGuest(t, "faults", Options{Concurrency: 2})
	ended := make(chan error, 1)
	go func() {
		_, err := invoke(faults, time.Minute, `{"fault":"loop"}`)
		ended <- err
	}()
	untilLent(faults, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := faults.Close(ctx); err != nil {
		t.Error(err)
	}
	wantCode(t, <-ended, countersign.CodeUnavailable)
	_, err := invoke(faults, time.Second, `{}`)
	wantCode(t, err, countersign.CodeUnavailable)
}

func TestCPUTimeIsTheFunctionsOwn(t *testing.T) {
	faults := loadGuest(t, "faults", Options{})
	caller := loadGuest(t, "caller", Options{Caller: callerFunc(
		func(ctx context.Context, _ *countersign.Invocation, _ string, req []byte) ([]byte, error) {
			return faults.Invoke(ctx, invocation(string(req)))
		})})
	idle := caller.Stats().CPU
	const request = `{"callee":"faults","request":{"fault":"loop"},"timeout":300000000}`
	if _, err := invoke(caller, 30*time.Second, request); err != nil {
		t.Fatal(err)
	}
	callee, own := faults.Stats().CPU, caller.Stats().CPU-idle
	if callee < 20*time.Millisecond || callee > 400*time.Millisecond {
		t.Errorf("a busy loop of 300 ms counted as %v", callee)
	}
	if own > callee/2 {
		t.Errorf("waiting for the callee counted as %v of the caller", own)
	}
}
