package runtime

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"countersign"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// Errorf is a failure of a call of the function.
func (o *Options) Errorf(code countersign.Code, format string, args ...any) *countersign.CallError {
	return countersign.Errorf(code, o.Function, format, args...)
}

// Ended is the failure of a call that is not awaited any more, or nil. The function may notice its deadline just before
// the host's timer does: the clock counts, too.
func (o *Options) Ended(ctx context.Context) *countersign.CallError {
	at, ok := ctx.Deadline()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return o.Errorf(countersign.CodeCanceled, "the caller went away, and the call was stopped")
	case ctx.Err() != nil || ok && !time.Now().Before(at):
		return o.Errorf(countersign.CodeDeadline, "the deadline passed, and the call was stopped")
	}
	return nil
}

// Crowded is the failure of a call that got no place before ctx ended.
func (o *Options) Crowded(ctx context.Context) *countersign.CallError {
	if errors.Is(ctx.Err(), context.Canceled) {
		return o.Errorf(countersign.CodeCanceled, "the caller went away while waiting for a place")
	}
	return o.Errorf(countersign.CodeOverloaded, "all %d places were taken until the deadline", o.Places())
}

// Stopping is the failure of a call that Close refused or ended.
func (o *Options) Stopping() *countersign.CallError {
	return o.Errorf(countersign.CodeUnavailable, "the function is being stopped")
}

// OutOfMemory is the failure of a call that needed more memory than there is.
func (o *Options) OutOfMemory() *countersign.CallError {
	return o.Errorf(countersign.CodeOutOfMemory, "it needs more than the %d bytes of memory that its spec gives it",
		o.Memory)
}

// TooLarge is the failure of a call whose reply has a body of size bytes.
func (o *Options) TooLarge(size int64) *countersign.CallError {
	return o.Errorf(countersign.CodeTooLarge, "its reply has %d bytes; %d are allowed", size, o.MaxReply)
}

// Exited is the failure of a call whose sandbox ended itself.
func (o *Options) Exited(status int) *countersign.CallError {
	return o.Errorf(countersign.CodeExited, "it ended itself with status %d", status)
}

// Failed turns a reply that is a failure into an error. A function may use no codes but these three: the others say what
// the platform found out.
func (o *Options) Failed(r frame.Reply) *countersign.CallError {
	reason := limits.Clip(r.Message)
	switch code := countersign.Code(r.Code); code {
	case countersign.CodeFailed, countersign.CodePanicked, countersign.CodeBadRequest:
		return &countersign.CallError{Code: code, Function: o.Function, Reason: reason}
	}
	return o.Errorf(countersign.CodeBroken, "it answered with the code %q, which is not a function's to use",
		limits.Clip(r.Code))
}

// LastWord returns what a line of the standard error says of why the program ends, as Go's runtime writes it, or "".
func LastWord(line []byte) string {
	if bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) {
		return limits.Clip(strings.TrimSpace(string(line)))
	}
	return ""
}
