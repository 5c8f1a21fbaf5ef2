package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"countersign/host/runtime"
	"countersign/host/storage"
)

// volume opens a volume on a directory.
func volume(t *testing.T, dir string, l storage.Limits) *storage.Volume {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	v, err := new(storage.Disks).Open(d, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// server serves the test's own process: addresses are the test's.
func server(t *testing.T, tags ...runtime.Storage) *Server {
	s := &Server{tags: tags}
	s.memory.pid = os.Getpid()
	t.Cleanup(s.table.end)
	return s
}

// memoryOf is mapped memory of a size, with nothing mapped behind it.
func memoryOf(t *testing.T, size int) []byte {
	t.Helper()
	whole, err := unix.Mmap(-1, 0, size+os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(whole[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(whole); err != nil {
			t.Error(err)
		}
	})
	return whole[:size]
}

func at(p []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&p[0]))) }

// do makes a system call as a process would.
func (s *Server) do(number int32, arguments ...uint64) (int64, error) {
	n := &notification{number: number}
	copy(n.arguments[:], arguments)
	b := new(buffer)
	defer b.free()
	return s.execute(n, b)
}

const cwd = uint64(1<<64 - 100) // AT_FDCWD

// opened opens a path.
func (s *Server) opened(t *testing.T, path string, flags int) uint64 {
	t.Helper()
	text := append(memoryOf(t, os.Getpagesize())[:0], path+"\x00"...)
	fd, err := s.do(unix.SYS_OPENAT, cwd, at(text), uint64(flags), 0o600)
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	return uint64(fd)
}

// TestPathsInMemory reads paths at the ends of what is mapped, and as long as they may be.
func TestPathsInMemory(t *testing.T) {
	s := server(t)
	page := os.Getpagesize()
	m := memoryOf(t, 2*page)
	put := func(offset int, text string) uint64 {
		clear(m)
		copy(m[offset:], text)
		return at(m[offset:])
	}
	long := strings.Repeat("a", unix.PathMax-1)
	for name, c := range map[string]struct {
		offset     int
		text, want string
		err        error
	}{
		"ends with the memory":       {2*page - 5, "/abc\x00", "/abc", nil},
		"crosses a page":             {page - 2, "/abc\x00", "/abc", nil},
		"no end before the memory's": {2*page - 4, "/abc", "", unix.EFAULT},
		"the longest":                {0, long + "\x00", long, nil},
		"one more":                   {0, long + "a\x00", "", unix.ENAMETOOLONG},
		"one more, over two pages":   {page - 10, long + "a\x00", "", unix.ENAMETOOLONG},
	} {
		if got, err := s.memory.text(put(c.offset, c.text)); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if got, err := s.memory.text(1<<64 - 1); err == nil {
		t.Errorf("the last byte there is: %q", got)
	}
}

// TestMemoryOfAnother: once the process has ended, its ID may be another's, whose memory is not touched.
func TestMemoryOfAnother(t *testing.T) {
	s := server(t)
	m := memoryOf(t, os.Getpagesize())
	if err := s.memory.put([]byte("before"), at(m)); err != nil {
		t.Fatal(err)
	}
	s.memory.end()
	if err := s.memory.put([]byte("after!"), at(m)); err == nil || string(m[:6]) != "before" {
		t.Errorf("%v, and there is %q", err, m[:6])
	}
	got := make([]byte, 6)
	if err := s.memory.get(got, at(m)); err == nil || string(got) == "before" {
		t.Errorf("%v, %q is read", err, got)
	}
}

// TestOneCallMovesSoMuch: what a process asks for does not decide how much the host holds for it.
func TestOneCallMovesSoMuch(t *testing.T) {
	s := server(t, runtime.Storage{Path: "/data", Volume: volume(t, t.TempDir(), storage.Limits{MaxFiles: 10})})
	m := memoryOf(t, 2*maxTransfer)
	fd := s.opened(t, "/data/a", unix.O_RDWR|unix.O_CREAT)
	for name, size := range map[string]uint64{"more than moves": 2 * maxTransfer, "a huge size": 1 << 62, "the largest": 1<<64 - 1} {
		for _, number := range []int32{unix.SYS_PWRITE64, unix.SYS_PREAD64} {
			if n, err := s.do(number, fd, at(m), size, 0); err != nil || n != maxTransfer {
				t.Errorf("%s: system call %d moves %d, %v", name, number, n, err)
			}
		}
	}
	dir := s.opened(t, "/data", unix.O_RDONLY|unix.O_DIRECTORY)
	if n, err := s.do(unix.SYS_GETDENTS64, dir, at(m), 1<<64-1); err != nil || n <= 0 {
		t.Errorf("entries: %d, %v", n, err)
	}
}

// TestWhatIsNotServed: system calls, flags and paths that are refused, each of which a test of package os would not miss.
func TestWhatIsNotServed(t *testing.T) {
	outer, inner := t.TempDir(), t.TempDir()
	s := server(t, runtime.Storage{Path: "/data/in", Volume: volume(t, inner, storage.Limits{MaxFiles: 10})},
		runtime.Storage{Path: "/data", Volume: volume(t, outer, storage.Limits{MaxFiles: 10})})
	m := memoryOf(t, os.Getpagesize())
	fd := s.opened(t, "/data/a", unix.O_RDWR|unix.O_CREAT)
	text := func(path string) uint64 { return at(append(memoryOf(t, os.Getpagesize())[:0], path+"\x00"...)) }
	a, in, b := text("/data/a"), text("/data/in/a"), text("/data/b")
	for name, c := range map[string]struct {
		number    int32
		arguments []uint64
		want      error
	}{
		"another system call":   {unix.SYS_MMAP, []uint64{0, 4096, 3, 1, fd}, unix.ENOSYS},
		"O_PATH":                {unix.SYS_OPENAT, []uint64{cwd, a, unix.O_PATH}, unix.EINVAL},
		"O_DIRECT":              {unix.SYS_OPENAT, []uint64{cwd, a, unix.O_DIRECT}, unix.EINVAL},
		"O_ASYNC":               {unix.SYS_OPENAT, []uint64{cwd, a, unix.O_ASYNC}, unix.EINVAL},
		"O_TMPFILE":             {unix.SYS_OPENAT, []uint64{cwd, text("/data"), unix.O_TMPFILE | unix.O_RDWR}, unix.EINVAL},
		"outside":               {unix.SYS_OPENAT, []uint64{cwd, text("/etc/passwd"), 0}, unix.EPERM},
		"up":                    {unix.SYS_OPENAT, []uint64{cwd, text("/data/in/../../etc"), 0}, unix.EPERM},
		"a name that goes on":   {unix.SYS_OPENAT, []uint64{cwd, text("/database"), 0}, unix.EPERM},
		"below a file":          {unix.SYS_OPENAT, []uint64{fd, text("x"), 0}, unix.ENOTDIR},
		"beside a file":         {unix.SYS_OPENAT, []uint64{fd, text("../a"), 0}, unix.ENOTDIR},
		"below the socket":      {unix.SYS_OPENAT, []uint64{3, text("x"), 0}, unix.EBADF},
		"a real descriptor":     {unix.SYS_FSTAT, []uint64{1, at(m)}, unix.EBADF},
		"below 0":               {unix.SYS_FSTAT, []uint64{1 << 31, at(m)}, unix.EBADF},
		"the next":              {unix.SYS_FSTAT, []uint64{fd + 1, at(m)}, unix.EBADF},
		"exchange":              {unix.SYS_RENAMEAT2, []uint64{cwd, a, cwd, a, unix.RENAME_EXCHANGE}, unix.EINVAL},
		"link of a descriptor":  {unix.SYS_LINKAT, []uint64{cwd, a, cwd, b, unix.AT_EMPTY_PATH}, unix.EINVAL},
		"to another tag":        {unix.SYS_RENAMEAT, []uint64{cwd, a, cwd, in}, unix.EXDEV},
		"link to another tag":   {unix.SYS_LINKAT, []uint64{cwd, a, cwd, in, 0}, unix.EXDEV},
		"before the beginning":  {unix.SYS_PWRITE64, []uint64{fd, at(m), 1, 1<<64 - 1}, unix.EINVAL},
		"read before it":        {unix.SYS_PREAD64, []uint64{fd, at(m), 1, 1<<64 - 1}, unix.EINVAL},
		"seek before it":        {unix.SYS_LSEEK, []uint64{fd, 1<<64 - 1, unix.SEEK_CUR}, unix.EINVAL},
		"seek in no known way":  {unix.SYS_LSEEK, []uint64{fd, 0, unix.SEEK_DATA}, unix.EINVAL},
		"written from nowhere":  {unix.SYS_WRITE, []uint64{fd, 8, 10}, unix.EFAULT},
		"written from half":     {unix.SYS_WRITE, []uint64{fd, at(m[len(m)-10:]), 20}, unix.EFAULT},
		"times from nowhere":    {unix.SYS_UTIMENSAT, []uint64{cwd, a, 8, 0}, unix.EFAULT},
		"closed and not open":   {unix.SYS_CLOSE, []uint64{fd + 1}, unix.EBADF},
		"a descriptor's number": {unix.SYS_CLOSE, []uint64{1<<40 | 3}, unix.EBADF},
	} {
		if n, err := s.do(c.number, c.arguments...); !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v; want %v", name, n, err, c.want)
		}
	}
	if info, err := os.Stat(filepath.Join(outer, "a")); err != nil || info.Size() != 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(inner); err != nil || len(entries) != 0 {
		t.Errorf("the inner directory has %v, %v", entries, err)
	}
}

// TestOwnersAreNotShown: which users the node has is not the process's matter.
func TestOwnersAreNotShown(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// In a user namespace, as Bazel's, there may be nobody else.
		if err := os.Chown(path, 1234, 1234); err != nil && !errors.Is(err, unix.EINVAL) {
			t.Fatal(err)
		}
	}
	s := server(t, runtime.Storage{Path: "/data", Volume: volume(t, dir, storage.Limits{MaxFiles: 10})})
	m := memoryOf(t, os.Getpagesize())
	text := append(memoryOf(t, os.Getpagesize())[:0], "/data/a\x00"...)
	st := (*unix.Stat_t)(unsafe.Pointer(&m[0]))
	for number, arguments := range map[int32][]uint64{unix.SYS_FSTAT: {s.opened(t, "/data/a", unix.O_RDONLY), at(m)},
		unix.SYS_NEWFSTATAT: {cwd, at(text), at(m), 0}} {
		clear(m)
		if _, err := s.do(number, arguments...); err != nil || st.Ino == 0 || st.Uid != 0 || st.Gid != 0 {
			t.Errorf("system call %d: %v, %+v", number, err, st)
		}
	}
}

// TestClosedWhileItIsUsed: a descriptor that is closed while a call uses it means nothing from then on, and the file is closed when
// the last call is done. Closing it twice at once closes nothing else.
func TestClosedWhileItIsUsed(t *testing.T) {
	dir := t.TempDir()
	v := volume(t, dir, storage.Limits{MaxFiles: 10, MaxBytes: 100})
	s := server(t, runtime.Storage{Path: "/data", Volume: v})
	m := memoryOf(t, os.Getpagesize())
	fd := s.opened(t, "/data/a", unix.O_RDWR|unix.O_CREAT)
	if _, err := s.do(unix.SYS_WRITE, fd, at(m), 60); err != nil {
		t.Fatal(err)
	}
	used := s.table.get(fd)
	if _, err := s.do(unix.SYS_CLOSE, fd); err != nil {
		t.Fatal(err)
	}
	if other := s.opened(t, "/data/b", unix.O_RDWR|unix.O_CREAT); other != fd {
		t.Errorf("the next descriptor is %#x, and %#x is free", other, fd)
	}
	if _, _, err := used.WriteAt(make([]byte, 10), 60); err != nil {
		t.Errorf("the call that was under way: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := s.table.put(used); err != nil {
		t.Error(err)
	}
	if _, _, err := used.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it is open after the last call")
	}
	var group sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		group.Go(func() { _, errs[i] = s.do(unix.SYS_CLOSE, fd) })
	}
	group.Wait()
	closed := 0
	for _, err := range errs {
		if err == nil {
			closed++
		}
	}
	if closed != 1 {
		t.Errorf("one descriptor was closed %d times", closed)
	}
}

// TestOpenedAfterTheEnd: a call that was under way when the process ended leaves nothing open.
func TestOpenedAfterTheEnd(t *testing.T) {
	dir := t.TempDir()
	v := volume(t, dir, storage.Limits{MaxFiles: 10})
	s := server(t, runtime.Storage{Path: "/data", Volume: v})
	fd := s.opened(t, "/data/a", unix.O_RDWR|unix.O_CREAT)
	s.table.end()
	if _, err := s.do(unix.SYS_FSYNC, fd); !errors.Is(err, unix.EBADF) {
		t.Errorf("a descriptor of a process that has ended: %v", err)
	}
	file, err := v.OpenFile("a", unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if fd, err := s.table.add(&handle{File: file}); err == nil {
		t.Errorf("it has a new one: %#x", fd)
	}
	if _, _, err := file.WriteAt([]byte("x"), 0); err == nil {
		t.Error("what was opened for it is open")
	}
}

// TestScopesOfYama: where the kernel keeps the host from the memory of what it started, there is no storage for native functions.
func TestScopesOfYama(t *testing.T) {
	for _, c := range []struct {
		scope string
		root  bool
		may   bool
	}{{"0", false, true}, {"1", false, true}, {"2", true, true}, {"2", false, false}, {"3", true, false}, {"4", true, false}, {"", true, false}} {
		if err := mayRead(c.scope, c.root); (err == nil) != c.may {
			t.Errorf("scope %q, root %v: %v", c.scope, c.root, err)
		}
	}
}
