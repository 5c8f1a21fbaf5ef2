//go:build wasip1

package sdk

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"countersign.internal/sdk/internal/local"
)

const onWasm = true

// guest is the state of a WebAssembly instance, which runs one call at a time.
var guest struct {
	inbox    []byte      // where the host puts an invocation
	outbox   []byte      // where it finds the reply
	call     sync.Mutex  // holds a call and the reading of its reply together
	current  *invocation // nil between calls
	describe []byte
}

// keepBuffer is the size over which a buffer is given back to the garbage collector after its call.
const keepBuffer = 1 << 20

//go:wasmexport countersign_v1_alloc
func abiAlloc(size uint32) uint32 {
	have := cap(guest.inbox)
	if uint64(have) < uint64(size) || have > keepBuffer && uint64(size) < uint64(have)/4 {
		guest.inbox = nil // let go of the old one before the new one is needed
		guest.inbox = make([]byte, max(size, 4096))
	}
	guest.inbox = guest.inbox[:cap(guest.inbox)]
	return address(guest.inbox)
}

//go:wasmexport countersign_v1_handle
func abiHandle(ptr, size uint32) uint64 {
	if ptr != address(guest.inbox) || uint64(size) > uint64(len(guest.inbox)) {
		panic("the host passes a frame that is not where countersign_v1_alloc said")
	}
	guest.outbox = serveFrame(guest.inbox[:size], guest.outbox[:0])
	return uint64(address(guest.outbox))<<32 | uint64(len(guest.outbox))
}

func serveFrame(frame, dst []byte) []byte {
	if cap(dst) > keepBuffer {
		dst = nil
	}
	r := &reader{rest: frame}
	header, err := r.header()
	if err == nil && header.kind != frameInvocation {
		err = errFrame
	}
	if err != nil {
		return appendFailure(dst, 0, errorf(CodeInternal, "", "reading the host's frame: %v", err))
	}
	in, body, err := parseInvocation(r, header.stream)
	if err != nil {
		return appendFailure(dst, header.stream, errorf(CodeInternal, "", "reading the host's invocation: %v", err))
	}
	name, h, err := served()
	if err != nil {
		return appendFailure(dst, header.stream, errorf(CodeBroken, "", "%v", err))
	}
	if local.Settle != nil {
		local.Settle()
	}
	guest.current = in
	defer func() { guest.current = nil }()
	return answer(name, h, in, body, dst)
}

//go:wasmexport countersign_v1_describe
func abiDescribe() uint64 {
	guest.describe = appendDescription(nil, 0)
	return uint64(address(guest.describe))<<32 | uint64(len(guest.describe))
}

//go:wasmimport countersign_v1 call
func abiCall(name unsafe.Pointer, nameLen uint32, request unsafe.Pointer, requestLen uint32, deadline int64) uint32

//go:wasmimport countersign_v1 read_reply
func abiReadReply(ptr unsafe.Pointer)

// dispatch makes a call through the host.
func dispatch(ctx context.Context, callee string, request []byte) ([]byte, *Error) {
	in := invocationOf(ctx)
	if in == nil {
		return nil, errorf(CodeBadRequest, callee, "a call needs the context that the handler was given")
	}
	guest.call.Lock()
	defer guest.call.Unlock()
	if in != guest.current {
		return nil, errorf(CodeCanceled, callee, "the call that this context belongs to has ended")
	}
	size := abiCall(unsafe.Pointer(unsafe.StringData(callee)), uint32(len(callee)),
		unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)), callDeadline(ctx))
	runtime.KeepAlive(request)
	if size == 0 {
		return nil, errorf(CodeInternal, callee, "the host gave no reply")
	}
	frame := make([]byte, size)
	abiReadReply(unsafe.Pointer(unsafe.SliceData(frame)))
	r := &reader{rest: frame}
	if header, err := r.header(); err != nil || header.kind != frameReply {
		return nil, errorf(CodeInternal, callee, "the host's reply is not a reply frame")
	}
	return parseReply(r, callee)
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func serveMain() {
	fmt.Fprintln(os.Stderr, "This module was built as a command; a function is a reactor: "+
		"build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared")
	os.Exit(2)
}
