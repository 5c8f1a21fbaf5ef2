// Package runtime is the contract between the host and what runs functions: host/wasm and host/native keep it, and
// host/runtime/contract tests that they do.
//
// Vocabulary: an instance is one running allocation of a function. A sandbox is what a runtime runs calls in inside of
// it: a WebAssembly module instance, or a native process. An instance has one sandbox or several over its life.
//
// It owns the interface, what a function is started with, what its use is counted by, and the words and codes in which a
// call fails. What a function may use is host/runtime/limits, what passes between host and function host/runtime/frame,
// what it prints host/runtime/output. It must not know the runtimes, signatures, routing, Nomad or Vault.
package runtime

import (
	"context"
	"io"
	"time"

	"countersign"
	"countersign/host/network"
	"countersign/host/runtime/limits"
	"countersign/host/storage"
)

// Instance is one running allocation of a function. It can be used from several goroutines.
type Instance interface {
	// Invoke runs one call and returns the reply's body, which the caller owns. It ends by the deadline of ctx or of
	// in, whichever is earlier. Every error is a *countersign.CallError.
	Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error)
	// Usage tells what the instance has used and done since it started, also after Close.
	Usage() Usage
	// Close refuses new calls, lets those under way finish until ctx ends, then stops them. It returns when no sandbox
	// is left and their memory is free. It may be called more than once.
	Close(ctx context.Context) error
}

// Options is what every runtime needs to start a function. The runtimes embed it in theirs.
type Options struct {
	Function string // its name, for errors and the frames
	limits.Limits
	Stdout io.Writer          // nil discards
	Stderr io.Writer          // nil discards
	Caller countersign.Caller // makes the function's own calls; nil: it may make none

	Storage []Storage
	Network *network.Tags // nil: there are none
}

// Storage is a storage tag: the volume that is open for it, and where the function sees it.
type Storage struct {
	Path   string
	Volume *storage.Volume
}

// Usage is what an instance has used and done since it started.
type Usage struct {
	CPU           time.Duration // time on a processor, without that of the functions it called
	MemoryBytes   int64         // held now by all sandboxes
	MemoryMax     int64         // the most ever held, or, where memory is looked at from time to time, seen
	Sandboxes     int           // that exist now, also those being made
	InFlight      int           // calls that run or wait for a place
	Calls         int64         // that have begun
	Failures      int64         // calls that ended with an error
	OOMs          int64         // how often the limit of memory ended a call or a sandbox
	DroppedOutput int64         // bytes of output that nobody read in time
}

// Unrunnable is an error of a start that will not change by trying again on this host: the artifact can't be run, or the
// host can't enforce what the runtime promises.
type Unrunnable interface {
	error
	Unrunnable()
}
