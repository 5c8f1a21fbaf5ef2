package files

import (
	"bytes"
	"sync"

	"golang.org/x/sys/unix"
)

// memory is that of the process. The process can change it at any time, so everything is read once.
type memory struct {
	pid int

	mu   sync.RWMutex
	gone bool // the process may be waited for, after which its ID can be another's
}

const pageSize = 4096 // the least there is: what begins and ends in one is mapped as a whole, or not at all

// end keeps anything from touching the memory of a process of the same ID.
func (m *memory) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
}

// transfer is process_vm_readv(2) or process_vm_writev(2), which keep to the protection of the process's pages.
func (m *memory) transfer(do func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), local []byte, at uint64) (int, error) {
	if len(local) == 0 {
		return 0, nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.gone {
		return 0, unix.ESRCH
	}
	ours := []unix.Iovec{{Base: &local[0]}}
	ours[0].SetLen(len(local))
	n, err := do(m.pid, ours, []unix.RemoteIovec{{Base: uintptr(at), Len: len(local)}}, 0)
	return max(n, 0), err
}

// read fills p from an address, as far as it is mapped.
func (m *memory) read(p []byte, at uint64) (int, error) {
	return m.transfer(unix.ProcessVMReadv, p, at)
}

// get fills p from an address.
func (m *memory) get(p []byte, at uint64) error {
	if n, err := m.read(p, at); err != nil || n < len(p) {
		return unix.EFAULT
	}
	return nil
}

// put writes p to an address.
func (m *memory) put(p []byte, at uint64) error {
	if n, err := m.transfer(unix.ProcessVMWritev, p, at); err != nil || n < len(p) {
		return unix.EFAULT
	}
	return nil
}

// text reads a path: bytes up to a zero.
func (m *memory) text(at uint64) (string, error) {
	var path []byte
	for len(path) < unix.PathMax {
		part := make([]byte, pageSize-int(at%pageSize))
		if err := m.get(part, at); err != nil {
			return "", err
		}
		if end := bytes.IndexByte(part, 0); end >= 0 {
			path = append(path, part[:end]...)
			break
		}
		path, at = append(path, part...), at+uint64(len(part))
	}
	if len(path) >= unix.PathMax {
		return "", unix.ENAMETOOLONG
	}
	return string(path), nil
}
