package wasm

import (
	"fmt"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// budget is the memory that all instances of one function share.
type budget struct {
	limit   int64
	used    atomic.Int64
	peak    atomic.Int64
	reclaim func() bool // frees memory that nobody uses now; false: there is none
}

// take books n bytes, or refuses.
func (b *budget) take(n int64) bool {
	for !b.tryTake(n) {
		if b.reclaim == nil || !b.reclaim() {
			return false
		}
	}
	return true
}

func (b *budget) tryTake(n int64) bool {
	for {
		used := b.used.Load()
		if n > b.limit-used {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			b.raisePeak(used + n)
			return true
		}
	}
}

func (b *budget) raisePeak(used int64) {
	for {
		peak := b.peak.Load()
		if used <= peak || b.peak.CompareAndSwap(peak, used) {
			return
		}
	}
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// linearMemory is the memory of one WebAssembly instance: address space reserved once, made accessible as it grows,
// so that growing neither moves nor copies it.
type linearMemory struct {
	budget  *budget
	space   []byte // reserved address space
	size    int64  // booked and accessible
	refused bool   // a growth was refused since the last call began
	err     error  // what the kernel said when it refused
}

// newLinearMemory books and maps the initial size. limit is the most that it can ever grow to.
func newLinearMemory(b *budget, initial, limit int64) (*linearMemory, error) {
	if !b.take(initial) {
		return nil, fmt.Errorf("a new instance needs %d bytes of memory, and of %d only %d are free",
			initial, b.limit, b.limit-b.used.Load())
	}
	space, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		b.give(initial)
		return nil, fmt.Errorf("reserving %d bytes of address space: %w", limit, err)
	}
	m := &linearMemory{budget: b, space: space}
	if err := unix.Mprotect(space[:initial], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		b.give(initial)
		m.Free()
		return nil, fmt.Errorf("mapping %d bytes of memory: %w", initial, err)
	}
	m.size = initial
	return m, nil
}

// Allocate implements experimental.MemoryAllocator for the one memory that a module may have.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory; nil is a refusal.
func (m *linearMemory) Reallocate(size uint64) []byte {
	grow := int64(size) - m.size
	if size > uint64(len(m.space)) || grow > 0 && !m.budget.take(grow) {
		m.refused = true
		return nil
	}
	if grow > 0 {
		if err := unix.Mprotect(m.space[m.size:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			m.budget.give(grow)
			m.refused, m.err = true, err
			return nil
		}
		m.size = int64(size)
	}
	return m.space[:size:size]
}

// Free implements experimental.LinearMemory. Freeing twice does nothing.
func (m *linearMemory) Free() {
	if m.space == nil {
		return
	}
	// Unmapping what was mapped as a whole can't fail; if it did, address space would be lost and nothing else.
	_ = unix.Munmap(m.space)
	m.space = nil
	m.budget.give(m.size)
	m.size = 0
}
