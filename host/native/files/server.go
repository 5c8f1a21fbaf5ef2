package files

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"countersign/host/runtime"
)

// workers is how many system calls of a process are executed at once; others wait. One that waits for a disk holds one.
const workers = 16

// Server executes the system calls of one process.
type Server struct {
	tags     []runtime.Storage
	listener *os.File
	memory   memory
	table    table
}

// notification and response are the kernel's (seccomp_unotify(2)).
type notification struct {
	id        uint64
	_         [2]uint32 // thread, flags
	number    int32
	_         uint32 // architecture, which the filter has looked at
	_         uint64 // instruction
	arguments [6]uint64
}

type response struct {
	id    uint64
	value int64
	errno int32
	_     uint32 // flags; one would have the kernel go on with the system call
}

const notificationSize = uint16(unsafe.Sizeof(notification{}))

// Serve executes what the listener receives, for the process of an ID, until Close. The process runs what it is to run, and
// has not been waited for.
func Serve(listener *os.File, pid int, tags []runtime.Storage) (*Server, error) {
	s := &Server{tags: tags, listener: listener}
	s.memory.pid = pid
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := s.wakeHere(); err != nil {
		return nil, err
	}
	for range workers {
		go s.work()
	}
	return s, nil
}

// wakeHere has the kernel wake a worker on the processor of the process, which is about to wait for it: that is half as long.
func (s *Server) wakeHere() error {
	const syncWakeUp = 1
	conn, err := s.listener.SyscallConn()
	if err != nil {
		return fmt.Errorf("using the filter of the function's process: %w", err)
	}
	var errno unix.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, syncWakeUp)
	})
	if errno != 0 {
		return fmt.Errorf("setting how system calls are handed over (Linux 6.6 is needed): %w", errno)
	}
	return err
}

// check tries whether the process's memory can be read: nothing is mapped at 0, and whether one may look comes first.
func (s *Server) check() error {
	_, err := s.memory.read(make([]byte, 1), 0)
	if err == nil || errors.Is(err, unix.EFAULT) || errors.Is(err, unix.ESRCH) { // one that has ended is noticed elsewhere
		return nil
	}
	return fmt.Errorf("the host can't read the memory of the function's process: %w: the kernel or its security modules forbid "+
		"process_vm_readv(2)", err)
}

// closeTime is how long the end of a process waits until its files are closed, so that what it had deleted gives room to the next.
const closeTime = 3 * time.Second

// Ended is told that the process has ended, before it is waited for. Its files are closed as soon as no call uses them. A disk
// that does not answer holds that up, and must not hold up the end of the process.
func (s *Server) Ended() {
	s.memory.end()
	// Closing can't lose anything: it is closed for those who wait for more.
	_ = s.listener.Close()
	closed := make(chan struct{})
	go func() { s.table.end(); close(closed) }()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// work executes one system call after the other. The workers take turns at waiting for one.
func (s *Server) work() {
	conn, err := s.listener.SyscallConn()
	if err != nil {
		return
	}
	buffer := new(buffer)
	for {
		var n notification
		var failure error
		err := conn.Read(func(fd uintptr) bool {
			failure = receive(int(fd), &n)
			return !errors.Is(failure, unix.EAGAIN)
		})
		switch {
		case err != nil, errors.Is(failure, unix.EBADF), errors.Is(failure, os.ErrProcessDone):
			return
		case failure != nil:
			continue // that one was interrupted or killed before it was received
		}
		value, failure := s.execute(&n, buffer)
		buffer.free()
		s.answer(conn, response{id: n.id, value: value}, failure)
	}
}

// answer ends a system call. If that fails, the process has ended.
func (s *Server) answer(conn interface{ Control(func(uintptr)) error }, r response, err error) {
	if err != nil {
		r.value, r.errno = 0, -int32(number(err))
	}
	_ = conn.Control(func(fd uintptr) {
		unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
	})
}

// number is what the process is told of an error.
func number(err error) unix.Errno {
	var errno unix.Errno
	switch {
	case !errors.As(err, &errno) || errno == 0:
		return unix.EIO
	case errno == unix.EDQUOT:
		return unix.ENOSPC
	}
	return errno
}

// receive takes the next system call. It is EAGAIN if there is none yet, and os.ErrProcessDone if there will be none.
func receive(fd int, n *notification) error {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(ready, 0); err != nil {
		return err
	}
	switch events := ready[0].Revents; {
	case events&unix.POLLIN != 0:
	case events&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return os.ErrProcessDone
	default:
		return unix.EAGAIN
	}
	*n = notification{} // the kernel wants it so
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n))); errno != 0 {
		return errno
	}
	return nil
}

// maxTransfer is how many bytes one read or write moves at most. More is done in several, as on any file.
const maxTransfer = 128 << 10

var buffers = sync.Pool{New: func() any { return new([maxTransfer]byte) }}

// buffer is room for what a system call moves, taken when one needs it.
type buffer struct{ room *[maxTransfer]byte }

func (b *buffer) of(size uint64) []byte {
	if b.room == nil {
		b.room = buffers.Get().(*[maxTransfer]byte)
	}
	return b.room[:min(size, maxTransfer)]
}

func (b *buffer) free() {
	if b.room != nil {
		buffers.Put(b.room)
		b.room = nil
	}
}
