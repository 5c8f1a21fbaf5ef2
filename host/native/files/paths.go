package files

import (
	"path"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"countersign/host/runtime"
)

// resolve tells which tag a path is in, and where in it. Paths are read as in WebAssembly, by their letters: `..` takes away
// what is before it. What is in no tag does not exist for the function, and is not permitted, as all else.
func (s *Server) resolve(dirfd, at uint64) (tag runtime.Storage, name string, err error) {
	text, err := s.memory.text(at)
	switch {
	case err != nil:
		return tag, "", err
	case text == "":
		return tag, "", unix.ENOENT
	}
	if !path.IsAbs(text) && int32(dirfd) != unix.AT_FDCWD {
		h := s.table.get(dirfd)
		if h == nil {
			return tag, "", unix.EBADF
		}
		defer s.table.put(h)
		if !h.IsDir() {
			return tag, "", unix.ENOTDIR
		}
		text = path.Join(h.tag.Path, h.path, text)
	}
	return s.find(path.Join("/", text))
}

// find tells which tag a path is in: the one with the longest path.
func (s *Server) find(full string) (tag runtime.Storage, name string, err error) {
	for _, t := range s.tags {
		below, in := strings.CutPrefix(full+"/", strings.TrimRight(t.Path, "/")+"/")
		if in && len(t.Path) > len(tag.Path) {
			tag, name = t, strings.TrimRight(below, "/")
		}
	}
	switch {
	case tag.Path == "":
		return tag, "", unix.EPERM
	case name == "":
		name = "."
	}
	return tag, name, nil
}

// openFlags are those that mean something here; others that change nothing are left out, and those that do are refused.
const (
	openFlags   = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_DIRECTORY | unix.O_SYNC | unix.O_DSYNC
	refusedOpen = unix.O_PATH | unix.O_DIRECT | unix.O_ASYNC | unix.O_TMPFILE&^unix.O_DIRECTORY
)

func (s *Server) open(a [6]uint64, _ *buffer) (int64, error) {
	flags := int(int32(a[2]))
	tag, name, err := s.resolve(a[0], a[1])
	switch {
	case err != nil:
		return 0, err
	case flags&refusedOpen != 0:
		return 0, unix.EINVAL
	}
	file, err := tag.Volume.OpenFile(name, flags&openFlags)
	if err != nil {
		return 0, err
	}
	return s.table.add(&handle{File: file, tag: tag, path: name, appends: flags&unix.O_APPEND != 0})
}

func (s *Server) statAt(a [6]uint64, _ *buffer) (int64, error) {
	tag, name, err := s.resolve(a[0], a[1])
	if err != nil {
		return 0, err
	}
	st, err := tag.Volume.Status(name)
	switch {
	case err != nil:
		return 0, err
	case st.Mode&unix.S_IFMT == unix.S_IFLNK && a[3]&unix.AT_SYMLINK_NOFOLLOW == 0:
		return 0, unix.ELOOP
	}
	return 0, s.putStat(&st, a[2])
}

func (s *Server) mkdir(a [6]uint64, _ *buffer) (int64, error) {
	tag, name, err := s.resolve(a[0], a[1])
	if err != nil {
		return 0, err
	}
	return 0, tag.Volume.Mkdir(name)
}

func (s *Server) unlink(a [6]uint64, _ *buffer) (int64, error) {
	tag, name, err := s.resolve(a[0], a[1])
	if err != nil {
		return 0, err
	}
	return 0, tag.Volume.Remove(name, a[2]&unix.AT_REMOVEDIR != 0)
}

func (s *Server) rename(a [6]uint64, _ *buffer) (int64, error) {
	return s.two(a, func(tag runtime.Storage, from, to string) error { return tag.Volume.Rename(from, to) })
}

func (s *Server) rename2(a [6]uint64, b *buffer) (int64, error) {
	if uint32(a[4]) != 0 {
		return 0, unix.EINVAL
	}
	return s.rename(a, b)
}

func (s *Server) link(a [6]uint64, _ *buffer) (int64, error) {
	if uint32(a[4]) != 0 {
		return 0, unix.EINVAL
	}
	return s.two(a, func(tag runtime.Storage, from, to string) error { return tag.Volume.Link(from, to) })
}

// two runs do with two paths in one tag.
func (s *Server) two(a [6]uint64, do func(tag runtime.Storage, from, to string) error) (int64, error) {
	tag, from, err := s.resolve(a[0], a[1])
	if err != nil {
		return 0, err
	}
	other, to, err := s.resolve(a[2], a[3])
	switch {
	case err != nil:
		return 0, err
	case other.Path != tag.Path:
		return 0, unix.EXDEV
	}
	return 0, do(tag, from, to)
}

func (s *Server) truncate(a [6]uint64, _ *buffer) (int64, error) {
	at := int32(unix.AT_FDCWD)
	tag, name, err := s.resolve(uint64(at), a[0])
	if err != nil {
		return 0, err
	}
	file, err := tag.Volume.OpenFile(name, unix.O_WRONLY)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return 0, file.Truncate(int64(a[1]))
}

// times is utimensat(2): without a path it is for the descriptor.
func (s *Server) times(a [6]uint64, _ *buffer) (int64, error) {
	times := [2]unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if a[2] != 0 {
		if err := s.memory.get(unsafe.Slice((*byte)(unsafe.Pointer(&times)), unsafe.Sizeof(times)), a[2]); err != nil {
			return 0, err
		}
	}
	if a[1] == 0 {
		return s.use(a[0], func(h *handle) (int64, error) { return 0, h.SetTimes(times) })
	}
	tag, name, err := s.resolve(a[0], a[1])
	if err != nil {
		return 0, err
	}
	return 0, tag.Volume.SetTimes(name, times)
}
