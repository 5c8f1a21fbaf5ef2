package wasm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// blocked is a function whose one place is taken by a call that waits for another, until leave is called.
func blocked(t *testing.T, memory int64) (i *Instance, leave func()) {
	running, release := make(chan struct{}), make(chan struct{})
	i = loadGuest(t, "caller", Options{Options: runtime.Options{Limits: limits.Limits{Memory: memory, Concurrency: 1},
		Caller: callerFunc(func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) {
			close(running)
			<-release
			return []byte("{}"), nil
		})}})
	ended := make(chan error, 1)
	go func() {
		_, err := invoke(i, time.Hour, `{"callee":"adder","request":{}}`)
		ended <- err
	}()
	<-running
	return i, func() {
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestCallsThatWaitAreBounded(t *testing.T) {
	i, leave := blocked(t, 64<<20)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, limits.Waiting)
	for range limits.Waiting {
		go func() {
			_, err := i.Invoke(ctx, invocation("{}"))
			ended <- err
		}()
	}
	for i.Usage().InFlight <= limits.Waiting || waiting(i) < limits.Waiting {
		time.Sleep(time.Millisecond)
	}
	_, err := i.Invoke(ctx, invocation("{}"))
	if failure := wantCode(t, err, countersign.CodeOverloaded); !strings.Contains(failure.Reason, fmt.Sprint(limits.Waiting)) {
		t.Errorf("the call beyond was refused with %v", err)
	}
	if held := i.Usage().MemoryBytes; held < limits.Waiting*limits.CallBytes {
		t.Errorf("%d calls that wait are counted with %d bytes", limits.Waiting, held)
	}
	cancel()
	for range limits.Waiting {
		wantCode(t, <-ended, countersign.CodeCanceled)
	}
	leave()
}

func waiting(i *Instance) int {
	i.pool.mu.Lock()
	defer i.pool.mu.Unlock()
	return i.pool.waiting.Len()
}

func TestRequestsThatWaitAreCounted(t *testing.T) {
	const memory, size = 32 << 20, 1 << 20
	i, leave := blocked(t, memory)
	before := i.Usage().MemoryBytes
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, memory/size)
	body := fmt.Sprintf("%q", strings.Repeat("x", size))
	held := 0
	for ; held <= memory/size; held++ {
		before := waiting(i)
		refused := make(chan error, 1)
		go func() {
			_, err := i.Invoke(ctx, invocation(body))
			refused <- err
			ended <- err
		}()
		for waiting(i) == before && len(refused) == 0 {
			time.Sleep(time.Millisecond)
		}
		if len(refused) > 0 {
			break
		}
	}
	if held == 0 || int64(held*size) > memory-before {
		t.Errorf("%d requests of 1 MiB wait for a function that has %d bytes and uses %d of them", held, memory, before)
	}
	if u := i.Usage(); u.MemoryBytes < before+int64(held*size) || u.MemoryMax > memory {
		t.Errorf("with %d requests of 1 MiB its use is %+v", held, u)
	}
	if held > memory/size {
		t.Errorf("no request was refused")
	} else if failure := wantCode(t, <-ended, countersign.CodeOverloaded); !strings.Contains(failure.Reason, "no room") {
		t.Errorf("the request beyond was refused with %v", failure)
	}
	cancel()
	for range held {
		wantCode(t, <-ended, countersign.CodeCanceled)
	}
	leave()
	if after := i.Usage().MemoryBytes; after >= before+size {
		t.Errorf("%d bytes are held when no call waits, and %d were before", after, before)
	}
}

// TestRepliesToAFunctionAreCounted has another function answer with more than the caller's memory.
func TestRepliesToAFunctionAreCounted(t *testing.T) {
	reply := []byte(fmt.Sprintf("%q", strings.Repeat("x", 12<<20)))
	o := limited(limits.Limits{Memory: 16 << 20, Concurrency: 1})
	o.Caller = callerFunc(func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) { return reply, nil })
	i := loadGuest(t, "caller", o)
	body, err := invoke(i, time.Minute, `{"callee":"adder","request":{}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[callerReply](t, body); got.Code != countersign.CodeOutOfMemory {
		t.Errorf("the function was answered %+v", got)
	}
	if u := i.Usage(); u.MemoryMax > 16<<20+limits.Message {
		t.Errorf("its use is %+v", u)
	}
}
