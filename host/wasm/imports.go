package wasm

import (
	"bytes"
	"context"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"

	"github.com/tetratelabs/wazero/api"
)

// guestFault ends a guest that broke the calling convention in a call to the host.
type guestFault struct{ reason string }

func (e *guestFault) Error() string { return e.reason }

// hostCall is the import "call": it runs the callee on the same goroutine and keeps the reply until the guest reads
// it. Parameters: name and its length, request and its length, deadline. Result: the length of the reply frame.
func hostCall(ctx context.Context, mod api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox)
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
	reply := s.callOut(string(name), bytes.Clone(request), frame.Time(int64(stack[4])))
	s.pending = frame.AppendReply(s.pending[:0], 0, reply)
	stack[0] = uint64(len(s.pending))
}

// maxName is the length of a DNS label.
const maxName = 63

// callOut makes a call for the guest. The time that the callee takes is not the guest's.
func (s *sandbox) callOut(callee string, request []byte, deadline time.Time) frame.Reply {
	if s.in == nil {
		return runtime.Refusal(countersign.CodeBadRequest,
			"calls can be made while a call is handled, not during initialisation")
	}
	s.watch.pause()
	defer s.watch.begin()
	ctx, cancel := runtime.Until(s.ctx, deadline)
	defer cancel()
	return s.owner.options.Call(ctx, s.in, callee, request)
}

// hostReadReply is the import "read_reply": it copies the reply frame of the last call to where the guest says.
func hostReadReply(ctx context.Context, mod api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox)
	if len(s.pending) == 0 {
		panic(&guestFault{"it read the reply of a call that it did not make"})
	}
	if !mod.Memory().Write(uint32(stack[0]), s.pending) {
		panic(&guestFault{"it wants a reply outside its memory"})
	}
	if cap(s.pending) > keepBuffer {
		s.pending = nil
	}
	s.pending = s.pending[:0]
}
