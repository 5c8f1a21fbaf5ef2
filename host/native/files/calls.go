package files

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call that is executed here.
type call struct {
	number     int32
	descriptor bool // it is ours only if its first argument is a descriptor of a file
	do         func(*Server, [6]uint64, *buffer) (int64, error)
}

// calls are all of them: what package os needs for files and directories. What is missing is refused by the filter.
var calls = []call{
	{unix.SYS_OPENAT, false, (*Server).open},
	{unix.SYS_NEWFSTATAT, false, (*Server).statAt},
	{unix.SYS_MKDIRAT, false, (*Server).mkdir},
	{unix.SYS_UNLINKAT, false, (*Server).unlink},
	{unix.SYS_RENAMEAT, false, (*Server).rename},
	{unix.SYS_RENAMEAT2, false, (*Server).rename2},
	{unix.SYS_LINKAT, false, (*Server).link},
	{unix.SYS_TRUNCATE, false, (*Server).truncate},
	{unix.SYS_UTIMENSAT, false, (*Server).times},

	{unix.SYS_CLOSE, true, (*Server).close},
	{unix.SYS_READ, true, (*Server).read},
	{unix.SYS_PREAD64, true, (*Server).pread},
	{unix.SYS_WRITE, true, (*Server).write},
	{unix.SYS_PWRITE64, true, (*Server).pwrite},
	{unix.SYS_LSEEK, true, (*Server).lseek},
	{unix.SYS_FSTAT, true, (*Server).fstat},
	{unix.SYS_FTRUNCATE, true, (*Server).ftruncate},
	{unix.SYS_FSYNC, true, (*Server).fsync},
	{unix.SYS_FDATASYNC, true, (*Server).fdatasync},
	{unix.SYS_GETDENTS64, true, (*Server).getdents},
}

// execute does what a system call asks for.
func (s *Server) execute(n *notification, b *buffer) (int64, error) {
	for i := range calls {
		if calls[i].number == n.number {
			return calls[i].do(s, n.arguments, b)
		}
	}
	return 0, unix.ENOSYS
}

// use runs do with what a descriptor means.
func (s *Server) use(argument uint64, do func(*handle) (int64, error)) (int64, error) {
	h := s.table.get(argument)
	if h == nil {
		return 0, unix.EBADF
	}
	n, err := do(h)
	// If it was closed meanwhile, that call told whether it worked.
	_ = s.table.put(h)
	return n, err
}

func (s *Server) close(a [6]uint64, _ *buffer) (int64, error) { return 0, s.table.remove(a[0]) }

func (s *Server) read(a [6]uint64, b *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		n, err := s.readAt(h, b.of(a[2]), a[1], h.position)
		h.position += n
		return n, err
	})
}

func (s *Server) pread(a [6]uint64, b *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		if int64(a[3]) < 0 {
			return 0, unix.EINVAL
		}
		return s.readAt(h, b.of(a[2]), a[1], int64(a[3]))
	})
}

// readAt reads from a file, and puts what it got at an address.
func (s *Server) readAt(h *handle, p []byte, to uint64, offset int64) (int64, error) {
	n, err := h.ReadAt(p, offset)
	if err != nil {
		return 0, err
	}
	return int64(n), s.memory.put(p[:n], to)
}

func (s *Server) write(a [6]uint64, b *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		n, end, err := s.writeAt(h, b.of(a[2]), a[1], h.position)
		if err == nil {
			h.position = end
		}
		return n, err
	})
}

func (s *Server) pwrite(a [6]uint64, b *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		if int64(a[3]) < 0 {
			return 0, unix.EINVAL
		}
		n, _, err := s.writeAt(h, b.of(a[2]), a[1], int64(a[3]))
		return n, err
	})
}

// writeAt writes what is at an address to a file. One that was opened for appending appends, as on Linux.
func (s *Server) writeAt(h *handle, p []byte, from uint64, offset int64) (int64, int64, error) {
	if err := s.memory.get(p, from); err != nil {
		return 0, offset, err
	}
	if h.appends {
		offset = -1
	}
	n, end, err := h.WriteAt(p, offset)
	return int64(n), end, err
}

func (s *Server) lseek(a [6]uint64, _ *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) { return h.seek(int64(a[1]), int(int32(a[2]))) })
}

func (s *Server) fstat(a [6]uint64, _ *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		st, err := h.Stat()
		if err != nil {
			return 0, err
		}
		return 0, s.putStat(&st, a[1])
	})
}

// putStat writes what is known of a file. Owners are users of the node, which the process has no part in: it sees its own.
func (s *Server) putStat(st *unix.Stat_t, to uint64) error {
	st.Uid, st.Gid = 0, 0
	return s.memory.put(unsafe.Slice((*byte)(unsafe.Pointer(st)), unsafe.Sizeof(*st)), to)
}

func (s *Server) ftruncate(a [6]uint64, _ *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) { return 0, h.Truncate(int64(a[1])) })
}

func (s *Server) fsync(a [6]uint64, _ *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) { return 0, h.Sync() })
}

func (s *Server) fdatasync(a [6]uint64, _ *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) { return 0, h.Datasync() })
}

func (s *Server) getdents(a [6]uint64, b *buffer) (int64, error) {
	return s.use(a[0], func(h *handle) (int64, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		p := b.of(uint64(uint32(a[2])))
		n, err := h.Entries(p)
		if err != nil {
			return 0, err
		}
		return int64(n), s.memory.put(p[:n], a[1])
	})
}
