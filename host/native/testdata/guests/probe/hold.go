package main

import (
	"context"
	"encoding/binary"
	"runtime"
	"syscall"
	"time"
)

// hold takes what a function could hold beside the heap of its program. It returns when it has all that it asked for.
func hold(ctx context.Context, r Request) error {
	const shared = syscall.MAP_ANON | syscall.MAP_SHARED
	switch r.Try {
	case "shared": // Size MiB of memory that is shared with nobody
		return each(r.Size/64, func() error { return touch(64<<20, 4096, shared) })
	case "sparse": // a page in each 2 MiB of Size GiB: page tables
		return each(r.Size, func() error { return touch(1<<30, 2<<20, shared|syscall.MAP_NORESERVE) })
	case "pipes":
		return each(r.Size, fillPipe)
	case "threads":
		for range r.Size {
			go func() { runtime.LockOSThread(); select {} }()
		}
		time.Sleep(time.Minute)
	case "calls", "orphans":
		return flood(ctx, r)
	}
	return syscall.EINVAL
}

func each(n int, do func() error) error {
	for range n {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// touch maps size bytes and writes to one in each step. They stay.
func touch(size, step, flags int) error {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	for at := 0; at < len(b); at += step {
		b[at] = 1
	}
	kept = append(kept, b)
	return nil
}

// fillPipe has the kernel hold what nobody reads.
func fillPipe() error {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_NONBLOCK); err != nil {
		return err
	}
	const setSize = 1031
	_, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fds[1]), setSize, 1<<20)
	if errno != 0 {
		return errno
	}
	for block := make([]byte, 64<<10); ; {
		if _, err := syscall.Write(fds[1], block); err != nil {
			return nil // it is full
		}
	}
}

// flood makes Size calls of 8 MiB each without holding more than a piece of one, and awaits no answer. Orphans belong to
// no invocation.
func flood(ctx context.Context, r Request) error {
	const body, callee = 8 << 20, "other"
	piece := make([]byte, 64<<10)
	parent := uint32(1) // the first invocation
	if r.Try == "orphans" {
		parent = 1 << 30
	}
	for n := range r.Size {
		head := binary.LittleEndian.AppendUint32(nil, 8+4+8+4+uint32(len(callee))+4+body)
		head = append(head, 1, 3, 0, 0)
		head = binary.LittleEndian.AppendUint32(head, uint32(1000+n))
		head = binary.LittleEndian.AppendUint32(head, parent)
		head = binary.LittleEndian.AppendUint64(head, 0)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(callee)))
		head = binary.LittleEndian.AppendUint32(append(head, callee...), body)
		if err := writeAll(ctx, head); err != nil {
			return err
		}
		for range body / len(piece) {
			if err := writeAll(ctx, piece); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeAll(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(3, b)
		switch {
		case err == syscall.EAGAIN && ctx.Err() == nil:
			time.Sleep(time.Millisecond)
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}
