package wasm

import (
	"fmt"

	"countersign/host/runtime/limits"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// linearMemory is the memory of one sandbox: address space reserved once, made accessible as it grows, so that growing
// neither moves nor copies it. It asks the account, which all sandboxes share, before it grows.
type linearMemory struct {
	account *limits.Memory
	space   []byte // reserved address space
	size    int64  // booked and accessible
	alone   int64  // what it could grow to if no other sandbox held anything
	refused bool   // a growth was refused since the last call began
	crowded bool   // the last one that was refused would have been granted if no other sandbox held anything
	err     error  // what the kernel said when it refused
}

// newLinearMemory books and maps the initial size. limit is the most that it can ever grow to.
func newLinearMemory(account *limits.Memory, initial, limit int64) (*linearMemory, error) {
	if !account.Take(initial) {
		return nil, fmt.Errorf("a new sandbox needs %d bytes of memory, and of %d only %d are free",
			initial, account.Limit(), account.Limit()-account.Used())
	}
	space, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		account.Give(initial)
		return nil, fmt.Errorf("reserving %d bytes of address space: %w", limit, err)
	}
	m := &linearMemory{account: account, space: space}
	if err := unix.Mprotect(space[:initial], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		account.Give(initial)
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
	if size > uint64(len(m.space)) || grow > 0 && !m.account.Take(grow) {
		m.refused, m.crowded = true, size <= uint64(max(m.alone, 0))
		return nil
	}
	if grow > 0 {
		if err := unix.Mprotect(m.space[m.size:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			m.account.Give(grow)
			m.refused, m.crowded, m.err = true, false, err
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
	m.account.Give(m.size)
	m.size = 0
}
