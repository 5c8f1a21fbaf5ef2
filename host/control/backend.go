package control

import (
	"context"
	"errors"
	"time"
)

// Version is that of the driver and of the host, which are one file. They can differ at run time: a host outlives the
// plugin that started it, and an upgrade of the file.
const Version = "0.1.0"

// Backend is the server end: what a host implements to be driven. Methods may be called at the same time.
type Backend interface {
	// Info identifies the host. The transport fills in PID, StartTick and Version.
	Info() Info
	// Start admits, verifies and runs a task; for a task that already runs it answers as the first time. A *Failure
	// travels to the driver as it is, any other error as a Failure of kind Internal. The events of the reply or of the
	// failure reach the driver with it and are not also sent to subscribers.
	Start(ctx context.Context, request StartRequest) (StartReply, error)
	// Status tells about one task; false if the host does not know it.
	Status(id string) (Status, bool)
	// List tells about every task, running or exited, that was not forgotten.
	List() []Status
	// Wait returns the task's status once it has exited, or ctx's error. It is asked only for known tasks.
	Wait(ctx context.Context, id string) (Status, error)
	// Stop takes no new calls, gives those in flight up to timeout, and returns when the task has exited. Stopping an
	// exited task is no error.
	Stop(ctx context.Context, id string, timeout time.Duration) error
	// Signal passes on a signal by its name, such as SIGHUP. An unsupported one is an error.
	Signal(id, signal string) error
	// Stats tells what one task uses; false if the host does not know it.
	Stats(id string) (Stats, bool)
	// Subscribe returns the events of all tasks from now on, until cancel is called.
	Subscribe() (events <-chan Event, cancel func())
	// Forget drops what is kept about an exited task; it refuses a running one.
	Forget(id string) error
}

// ErrUnknownTask is returned for a task that the host does not know.
var ErrUnknownTask = errors.New("the host does not know the task")

// UnreachableError says that no host answered on the socket of a data directory, or that it went away.
type UnreachableError struct {
	Dir string // the host's data directory
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return "the host process of " + e.Dir + " can't be reached: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one that trying again may cure.
func (e *UnreachableError) Unreachable() bool { return true }

// Error implements error.
func (f *Failure) Error() string { return f.Message }

// Unverified tells whether the start was refused by verification or policy.
func (f *Failure) Unverified() bool { return f.Kind == Refused }

// Unreachable tells whether the start failed because something could not be reached; trying again may cure it.
func (f *Failure) Unreachable() bool { return f.Kind == Unreachable }
