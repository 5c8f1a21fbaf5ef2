package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
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
	s.dropPending()
	reply := s.callOut(string(name), request, frame.Time(int64(stack[4])))
	stack[0] = uint64(s.keepPending(reply))
}

// maxName is the length of a DNS label.
const maxName = 63

// callOut makes a call for the guest. The time that the callee takes is not the guest's.
func (s *sandbox) callOut(callee string, request []byte, deadline time.Time) frame.Reply {
	if s.in == nil {
		return runtime.Refusal(countersign.CodeBadRequest,
			"calls can be made while a call is handled, not during initialisation")
	}
	frames := s.owner.frames
	if !frames.Take(int64(len(request))) {
		return s.noRoom()
	}
	defer frames.Give(int64(len(request)))
	s.acted = true
	s.watch.pause()
	defer s.watch.begin()
	ctx, cancel := runtime.Until(s.ctx, deadline)
	defer cancel()
	// The request is copied: whom the call goes to may keep it for longer than this guest keeps its memory.
	return s.owner.options.Call(ctx, s.in, callee, bytes.Clone(request))
}

// noRoom is the answer to a call whose messages do not fit into the function's memory.
func (s *sandbox) noRoom() frame.Reply {
	failure := s.owner.options.OutOfMemory()
	return runtime.Refusal(failure.Code, failure.Reason)
}

// pendingReply is the reply to the guest's last call, until the guest reads it. Without a head there is none.
type pendingReply struct {
	head, body []byte // together the frame
	booked     int64
}

// keepPending keeps a reply until the guest reads it, and returns the length of its frame.
func (s *sandbox) keepPending(r frame.Reply) int {
	size := func() int64 { return int64(frame.Overhead + len(r.Code) + len(r.Message) + len(r.Body)) }
	if !s.owner.frames.Take(size()) {
		r = s.noRoom()
		s.owner.frames.Book(size())
	}
	s.pending = pendingReply{frame.AppendReplyHead(nil, 0, r), r.Body, size()}
	return len(s.pending.head) + len(s.pending.body)
}

// dropPending forgets the reply that the guest has not read, if there is one.
func (s *sandbox) dropPending() {
	s.owner.frames.Give(s.pending.booked)
	s.pending = pendingReply{}
}

// hostReadReply is the import "read_reply": it copies the reply frame of the last call to where the guest says.
func hostReadReply(ctx context.Context, mod api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox)
	p := s.pending
	if len(p.head) == 0 {
		panic(&guestFault{"it read the reply of a call that it did not make"})
	}
	to, memory := uint32(stack[0]), mod.Memory()
	// The whole frame has to fit before a byte of it is written; the addresses can't wrap around after that.
	if _, ok := memory.Read(to, uint32(len(p.head)+len(p.body))); !ok {
		panic(&guestFault{"it wants a reply outside its memory"})
	}
	memory.Write(to, p.head)
	memory.Write(to+uint32(len(p.head)), p.body)
	s.dropPending()
}

// randomNumbers is the source of a sandbox's random numbers. It fails when the sandbox is to stop: one WASI call can ask
// for gigabytes.
type randomNumbers struct{ *sandbox }

// randomPiece is how many bytes of random numbers are made before it is looked whether to stop.
const randomPiece = 1 << 20

// Read implements io.Reader.
func (r randomNumbers) Read(p []byte) (int, error) {
	if r.isHalted() {
		return 0, r.ended()
	}
	return rand.Read(p[:min(len(p), randomPiece)])
}
