package runtime

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/host/runtime/frame"
)

// Calls counts the calls of an instance.
type Calls struct{ inFlight, begun, failed, ooms atomic.Int64 }

// Run runs one call under the deadline of in and counts it.
func (c *Calls) Run(ctx context.Context, in *countersign.Invocation,
	run func(context.Context, *countersign.Invocation) ([]byte, *countersign.CallError)) ([]byte, error) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	c.begun.Add(1)
	ctx, cancel := Until(ctx, in.Deadline)
	defer cancel()
	body, failure := run(ctx, in)
	if failure != nil {
		c.failed.Add(1)
		return nil, failure
	}
	return body, nil
}

// OutOfMemory counts an end for want of memory.
func (c *Calls) OutOfMemory() { c.ooms.Add(1) }

// Usage returns the part of an instance's use that is counted here.
func (c *Calls) Usage() Usage {
	return Usage{InFlight: int(c.inFlight.Load()), Calls: c.begun.Load(), Failures: c.failed.Load(), OOMs: c.ooms.Load()}
}

// Until limits ctx to a deadline, unless that is zero or later than that of ctx.
func Until(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if at, ok := ctx.Deadline(); deadline.IsZero() || ok && !deadline.Before(at) {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}

// Call makes a call for the function, during the invocation parent, and returns what the function is to be answered.
func (o *Options) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) frame.Reply {
	if o.Caller == nil {
		return Refusal(countersign.CodeNotPermitted, "calls are not possible here")
	}
	body, err := o.Caller.Call(ctx, parent, callee, request)
	if err == nil {
		return frame.Reply{Body: body}
	}
	// The function learns the code and the reason of an error, not its cause, which may be another party's.
	var failure *countersign.CallError
	if errors.As(err, &failure) {
		return Refusal(failure.Code, failure.Reason)
	}
	return Refusal(countersign.CodeOf(err), "the call could not be made")
}

// Refusal is what a function is answered whose call is not made.
func Refusal(code countersign.Code, reason string) frame.Reply {
	return frame.Reply{Code: string(code), Message: reason}
}
