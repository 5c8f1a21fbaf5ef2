package wasm

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// stopwatch adds the CPU time that a goroutine spends in a function to a total. While it runs, the goroutine is wired
// to its thread, whose CPU clock it reads.
type stopwatch struct {
	total *atomic.Int64 // nanoseconds
	start int64
}

func (s *stopwatch) begin() {
	runtime.LockOSThread()
	s.start = threadCPU()
}

// pause stops the watch, for as long as something else runs on the goroutine; begin starts it again.
func (s *stopwatch) pause() {
	s.total.Add(threadCPU() - s.start)
	runtime.UnlockOSThread()
}

// threadCPU is the CPU time of the calling thread in nanoseconds.
func threadCPU() int64 {
	var ts unix.Timespec
	// The clock exists on every Linux since 2.6.12; without it the time would count as zero.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return ts.Nano()
}
