package wasm

import (
	"bytes"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime/limits"
)

// wide returns n operations that leave as many values on the operand stack, and those that add them up.
func wide(n int) (push, sum []byte) {
	return bytes.Repeat([]byte{opI32Const, 0, 0x28, 2, 0}, n), append(bytes.Repeat([]byte{0x6a}, n-1), opDrop)
}

func TestCallStacksAreBounded(t *testing.T) {
	push, sum := wide(500)
	tests := map[string]assembly{
		"endless": {extra: []byte{opCall, 4}},
		"bounded, but too deep": {extra: slices.Concat([]byte{opI32Const, 0, opI32Const, 0, 0x28, 2, 0, opI32Const, 1, 0x6a, 0x36, 2, 0,
			opI32Const, 0, 0x28, 2, 0}, i32Const(900000), []byte{0x49, opIf, blockEmpty, opCall, 4, opEnd})},
		"of wide frames": {extra: slices.Concat(push, []byte{opCall, 4}, sum)},
		"by two in turn": {extra: []byte{opCall, 5}, more: [][]byte{slices.Concat([]byte{0}, push, []byte{opCall, 4}, sum, []byte{opEnd})}},
		"in allocation":  {alloc: append([]byte{0x20, 0, opCall, 0}, i32Const(0)...)[:4]},
	}
	for name, module := range tests {
		t.Run(name, func(t *testing.T) {
			if module.alloc == nil {
				module.handle = append([]byte{opCall, 4}, i64Const(0, 0)...)
			}
			const concurrency, memory = 4, 2 << 20
			i := loadModule(t, module.encode(), named("deep", limits.Limits{Memory: memory, Concurrency: concurrency}))
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			var wg sync.WaitGroup
			for range concurrency {
				wg.Go(func() {
					_, err := invoke(i, time.Minute, "{}")
					if failure := wantCode(t, err, countersign.CodeOutOfMemory); !strings.Contains(failure.Reason, "stack overflow") {
						t.Errorf("it failed for another reason: %v", err)
					}
				})
			}
			wg.Wait()
			goruntime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 2*memory {
				t.Errorf("%d calls that nested too deeply took %d bytes of the host's heap, and the function has %d", concurrency, grown, memory)
			}
			if u := i.Usage(); u.MemoryMax > memory || u.OOMs != concurrency {
				t.Errorf("its use is %+v", u)
			}
		})
	}
}

// TestCallsMayNest has a Go program nest as many calls as one that means no harm does.
func TestCallsMayNest(t *testing.T) {
	faults := loadGuest(t, "faults", limited(limits.Limits{Memory: 10 << 20}))
	if _, err := invoke(faults, time.Minute, `{"fault":"descend","size":10000}`); err != nil {
		t.Error(err)
	}
}

// TestStackOfWhatIsNotKnown has no function run on a stack that could grow.
func TestStackOfWhatIsNotKnown(t *testing.T) {
	stack, err := newCallStack(256 << 10)
	if err != nil {
		t.Fatal(err)
	}
	defer stack.free()
	i := loadModule(t, fixedReply("{}").encode(), Options{})
	s := i.pool.idle[0]
	if err := stack.carry(s.starter); err != nil {
		t.Error(err)
	}
	if err := stack.carry(nil); err == nil || !strings.Contains(err.Error(), "unknown way") {
		t.Errorf("a function that is not there: %v", err)
	}
	for name, f := range map[string]any{"another engine": &struct{ stack []byte }{}, "another type": &struct {
		stack    []int
		stackTop uintptr
		execCtx  struct{ stackBottomPtr *byte }
	}{}, "no pointer": 1} {
		if _, _, _, err := stackFields(f); err == nil || !strings.Contains(err.Error(), "unknown way") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
