package files

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"countersign/host/runtime"
	"countersign/host/storage"
)

// handle is an open file or directory of the process.
type handle struct {
	*storage.File
	tag     runtime.Storage
	path    string // within the tag; of a directory
	appends bool

	mu       sync.Mutex // held while the position is used
	position int64

	users   int  // calls that use it; guarded by table.mu
	removed bool // from the table; guarded by table.mu
}

// table is the process's descriptors of files.
type table struct {
	mu     sync.Mutex
	list   []*handle // at a descriptor less Base; nil where there is none
	closed bool
}

// add gives a handle the lowest free descriptor. How many there are at most is the volumes' to say.
func (t *table) add(h *handle) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		h.Close()
		return 0, unix.ESRCH
	}
	for i, there := range t.list {
		if there == nil {
			t.list[i] = h
			return Base + int64(i), nil
		}
	}
	t.list = append(t.list, h)
	return Base + int64(len(t.list)-1), nil
}

// get returns what a descriptor means, for put to give back, or nil. Only the lower half of an argument is a descriptor.
func (t *table) get(argument uint64) *handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := int64(int32(argument)) - Base
	if i < 0 || i >= int64(len(t.list)) || t.list[i] == nil {
		return nil
	}
	t.list[i].users++
	return t.list[i]
}

// put ends the use of a handle. The last one closes what was removed meanwhile: the number of a descriptor of the host
// must not become another file's while a call uses it.
func (t *table) put(h *handle) error {
	t.mu.Lock()
	h.users--
	last := h.removed && h.users == 0
	t.mu.Unlock()
	if last {
		return h.Close()
	}
	return nil
}

// remove takes a descriptor away.
func (t *table) remove(argument uint64) error {
	h := t.get(argument)
	if h == nil {
		return unix.EBADF
	}
	t.mu.Lock()
	i := int64(int32(argument)) - Base
	if t.list[i] != h { // two closes at once
		t.mu.Unlock()
		t.put(h)
		return unix.EBADF
	}
	t.list[i], h.removed = nil, true
	t.mu.Unlock()
	return t.put(h)
}

// end takes all descriptors away.
func (t *table) end() {
	t.mu.Lock()
	n := len(t.list)
	t.closed = true
	t.mu.Unlock()
	for i := range n {
		// The process has ended: nobody is left who could be told.
		_ = t.remove(Base + uint64(i))
	}
}

// seek moves the position like lseek(2).
func (h *handle) seek(by int64, whence int) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.IsDir() {
		if by != 0 || whence != unix.SEEK_SET {
			return 0, unix.EINVAL
		}
		return 0, h.Rewind()
	}
	base := int64(0)
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		base = h.position
	case unix.SEEK_END:
		size, err := h.Size()
		if err != nil {
			return 0, err
		}
		base = size
	default:
		return 0, unix.EINVAL
	}
	if by > math.MaxInt64-base || base+by < 0 {
		return 0, unix.EINVAL
	}
	h.position = base + by
	return h.position, nil
}
