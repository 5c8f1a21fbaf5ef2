package wasm

import (
	"bytes"
	"context"
	"errors"
	"time"

	"countersign"
	"countersign/host/frame"

	"github.com/tetratelabs/wazero/api"
)

// guestFault ends a guest that broke the calling convention in a call to the host.
type guestFault struct{ reason string }

func (e *guestFault) Error() string { return e.reason }

// hostCall is the import "call": it runs the callee on the same goroutine and keeps the reply until the guest reads
// it. Parameters: name and its length, request and its length, deadline. Result: the length of the reply frame.
func hostCall(ctx context.Context, mod api.Module, stack []uint64) {
	g := ctx.Value(guestKey{}).(*guest)
	memory := mod.Memory()
	name, ok := memory.Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		panic(&guestFault{"it named a callee outside its memory"})
	}
	request, ok := memory.Read(uint32(stack[2]), uint32(stack[3]))
	if !ok {
		panic(&guestFault{"it made a call with a request outside its memory"})
	}
	if len(name) > maxName {
		panic(&guestFault{"it made a call of a function whose name is too long"})
	}
	// The request is copied: whom the call goes to may keep it for longer than this guest keeps its memory.
	reply := g.callOut(string(name), bytes.Clone(request), frame.Time(int64(stack[4])))
	g.pending = frame.AppendReply(g.pending[:0], 0, reply)
	stack[0] = uint64(len(g.pending))
}

// maxName is the length of a DNS label.
const maxName = 63

// callOut makes a call for the guest. The time that the callee takes is not the guest's.
func (g *guest) callOut(callee string, request []byte, deadline time.Time) frame.Reply {
	if g.in == nil {
		return failureReply(countersign.Errorf(countersign.CodeBadRequest, callee,
			"calls can be made while a call is handled, not during initialisation"))
	}
	if g.owner.options.Caller == nil {
		return failureReply(countersign.Errorf(countersign.CodeNotPermitted, callee, "calls are not possible here"))
	}
	g.watch.pause()
	defer g.watch.begin()
	ctx, in := g.ctx, g.in
	if at, ok := ctx.Deadline(); !deadline.IsZero() && (!ok || deadline.Before(at)) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	body, err := g.owner.options.Caller.Call(ctx, in, callee, request)
	if err != nil {
		return failureReply(err)
	}
	return frame.Reply{Body: body}
}

// failureReply tells the guest the code and the reason of an error, not its cause, which may be another party's.
func failureReply(err error) frame.Reply {
	var failure *countersign.CallError
	if errors.As(err, &failure) {
		return frame.Reply{Code: string(failure.Code), Message: failure.Reason}
	}
	code := countersign.CodeOf(err)
	return frame.Reply{Code: string(code), Message: "the call could not be made"}
}

// hostReadReply is the import "read_reply": it copies the reply frame of the last call to where the guest says.
func hostReadReply(ctx context.Context, mod api.Module, stack []uint64) {
	g := ctx.Value(guestKey{}).(*guest)
	if len(g.pending) == 0 {
		panic(&guestFault{"it read the reply of a call that it did not make"})
	}
	if !mod.Memory().Write(uint32(stack[0]), g.pending) {
		panic(&guestFault{"it wants a reply outside its memory"})
	}
	if cap(g.pending) > keepBuffer {
		g.pending = nil
	}
	g.pending = g.pending[:0]
}
