// Package limits is what a function may use of a node: memory over all its sandboxes together, calls at the same time,
// and the size of what it says. The numbers of a spec arrive here, and those that hold for every function stand here.
//
// It owns the limits and the account of memory. It must not know how a runtime enforces them: WebAssembly asks before a
// sandbox grows (host/wasm/memory.go), a native process is in a cgroup (host/native/cgroup).
package limits

import (
	"runtime"
	"strings"
	"time"
)

const (
	// Message is how many bytes of a function's error message are passed on.
	Message = 4 << 10
	// Frame is the longest frame, in bytes, that is read from a function's socket, whatever MaxReply says.
	Frame = 256 << 20
	// Calls is how many calls a native function may make at the same time.
	Calls = 1024
	// PerCall is how many bytes a call that is under way or waits costs the host beside its request and reply: goroutines,
	// contexts, timers, entries in tables.
	PerCall = 16 << 10
	// CalleeName is how many bytes of a callee's name are looked at: more than a name can have.
	CalleeName = 256
	// DescribeMemory is how many bytes a function may use to describe itself, when there is no spec to say it.
	DescribeMemory = 256 << 20
	// DescribeTime is how long it may take for that.
	DescribeTime = 5 * time.Second
)

const (
	// mostReady is how many sandboxes are made before the first call, if the spec counts on so many calls at once: a new
	// allocation gets the calls of its node at once, and to make a sandbox takes longer than many calls.
	mostReady = 4
	// readyMemory is how many bytes of memory a function must have for each of them: what is idle, a few MiB, is missing
	// to the calls that run.
	readyMemory = 16 << 20
	// mappedSlack is what a Go program maps beyond the memory that it uses.
	mappedSlack = 256 << 20
)

// Limits is what one allocation of a function may use.
type Limits struct {
	Memory      int64 // bytes, of all its sandboxes together
	Concurrency int   // calls that run at the same time; less than 1 is 1
	MaxReply    int64 // bytes of a reply's body; 0: as many as the runtime can carry
}

// Places is how many calls run at the same time.
func (l Limits) Places() int { return max(l.Concurrency, 1) }

// Ready is how many sandboxes of a function with small ones, as WebAssembly has, are to be made before the first call.
// target is for how many calls at once the spec wants an allocation.
func (l Limits) Ready(target int) int {
	return max(1, min(mostReady, target, int(l.Memory/readyMemory)))
}

// Collect is from how many bytes on a program with a garbage collector is to collect more often: nine tenths.
func (l Limits) Collect() int64 { return l.Memory / 10 * 9 }

// Mapped is how many bytes a native process may map. It is the second line: what counts is what it uses.
func (l Limits) Mapped() int64 { return l.Memory + mappedSlack }

// Threads is how many threads a native process may have. A Go program needs one for each processor and each blocked
// system call.
func Threads() int { return max(256, 4*runtime.NumCPU()) }

// Clip bounds what a function can put into an error, and makes it valid text. It is a copy: the message may be a piece
// of something large.
func Clip(message string) string {
	return strings.Clone(strings.ToValidUTF8(message[:min(len(message), Message)], "\uFFFD"))
}
