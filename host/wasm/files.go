package wasm

import (
	"errors"
	"io"
	"io/fs"

	"countersign/host/storage"

	"github.com/tetratelabs/wazero"
	esys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"
)

// mounts are the sandbox's storage tags, each at its path.
func (s *sandbox) mounts() wazero.FSConfig {
	config := wazero.NewFSConfig()
	for _, t := range s.owner.options.Storage {
		config = config.(sysfs.FSConfig).WithSysFSMount(&tree{volume: t.Volume, sandbox: s}, t.Path)
	}
	return config
}

// tree is a storage tag in the form that wazero has for file systems. It has no links that lead elsewhere: symbolic ones
// are neither made nor followed.
type tree struct {
	esys.UnimplementedFS
	volume  *storage.Volume
	sandbox *sandbox
	rooted  bool // the directory itself was opened
}

// errno translates an error, and keeps what wazero's numbers don't tell.
func (s *sandbox) errno(err error) esys.Errno {
	s.acted = true // each operation on a volume ends here, and most change something
	var number unix.Errno
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return 0
	case !errors.As(err, &number):
		return esys.UnwrapOSError(err)
	case number == unix.EDQUOT:
		number = unix.ENOSPC
	}
	s.fileError = number
	return esys.UnwrapOSError(number)
}

var openFlags = map[esys.Oflag]int{
	esys.O_CREAT: unix.O_CREAT, esys.O_EXCL: unix.O_EXCL, esys.O_TRUNC: unix.O_TRUNC, esys.O_DIRECTORY: unix.O_DIRECTORY,
	esys.O_SYNC: unix.O_SYNC, esys.O_RSYNC: unix.O_SYNC, esys.O_DSYNC: unix.O_DSYNC,
}

// OpenFile implements esys.FS.
func (t *tree) OpenFile(path string, flag esys.Oflag, _ fs.FileMode) (esys.File, esys.Errno) {
	flags := unix.O_RDONLY
	switch flag & (esys.O_RDONLY | esys.O_RDWR | esys.O_WRONLY) {
	case esys.O_RDWR:
		flags = unix.O_RDWR
	case esys.O_WRONLY:
		flags = unix.O_WRONLY
	}
	for of, to := range openFlags {
		if flag&of != 0 {
			flags |= to
		}
	}
	t.sandbox.acted = true
	open := t.volume.OpenFile
	if path == "." && !t.rooted { // wazero itself opens it, once a sandbox, for all that the guest does below
		t.rooted, open = true, t.volume.OpenRoot
	}
	f, err := open(path, flags)
	if err != nil {
		return nil, t.sandbox.errno(err)
	}
	return &file{File: f, sandbox: t.sandbox, appends: flag&esys.O_APPEND != 0}, 0
}

// Lstat implements esys.FS.
func (t *tree) Lstat(path string) (sys.Stat_t, esys.Errno) {
	info, err := t.volume.Stat(path)
	if err != nil {
		return sys.Stat_t{}, t.sandbox.errno(err)
	}
	return sys.NewStat_t(info), 0
}

// Stat implements esys.FS.
func (t *tree) Stat(path string) (sys.Stat_t, esys.Errno) {
	st, errno := t.Lstat(path)
	if errno == 0 && st.Mode&fs.ModeSymlink != 0 {
		return sys.Stat_t{}, esys.ELOOP
	}
	return st, errno
}

// Mkdir implements esys.FS.
func (t *tree) Mkdir(path string, _ fs.FileMode) esys.Errno {
	return t.sandbox.errno(t.volume.Mkdir(path))
}

// Rename implements esys.FS.
func (t *tree) Rename(from, to string) esys.Errno { return t.sandbox.errno(t.volume.Rename(from, to)) }

// Rmdir implements esys.FS.
func (t *tree) Rmdir(path string) esys.Errno { return t.sandbox.errno(t.volume.Remove(path, true)) }

// Unlink implements esys.FS.
func (t *tree) Unlink(path string) esys.Errno { return t.sandbox.errno(t.volume.Remove(path, false)) }

// Link implements esys.FS.
func (t *tree) Link(from, to string) esys.Errno { return t.sandbox.errno(t.volume.Link(from, to)) }

// Symlink implements esys.FS.
func (t *tree) Symlink(string, string) esys.Errno { return esys.EPERM }

// Utimens implements esys.FS.
func (t *tree) Utimens(path string, atim, mtim int64) esys.Errno {
	return t.sandbox.errno(t.volume.SetTimes(path, times(atim, mtim)))
}

func times(atim, mtim int64) (list [2]unix.Timespec) {
	for i, at := range []int64{atim, mtim} {
		if list[i] = unix.NsecToTimespec(at); at == esys.UTIME_OMIT {
			list[i] = unix.Timespec{Nsec: unix.UTIME_OMIT}
		}
	}
	return list
}

// file is an open file in the form that wazero has for it. One sandbox uses it, so that the position needs no lock.
type file struct {
	*storage.File
	sandbox  *sandbox
	position int64
	appends  bool
}

// Dev implements esys.File.
func (f *file) Dev() (uint64, esys.Errno) {
	st, err := f.File.Stat()
	return st.Dev, f.sandbox.errno(err)
}

// Ino implements esys.File.
func (f *file) Ino() (sys.Inode, esys.Errno) {
	st, err := f.File.Stat()
	return st.Ino, f.sandbox.errno(err)
}

// IsDir implements esys.File.
func (f *file) IsDir() (bool, esys.Errno) { return f.File.IsDir(), 0 }

// IsAppend implements esys.File.
func (f *file) IsAppend() bool { return f.appends }

// SetAppend implements esys.File.
func (f *file) SetAppend(on bool) esys.Errno {
	f.appends = on
	return 0
}

// Stat implements esys.File.
func (f *file) Stat() (sys.Stat_t, esys.Errno) {
	info, err := f.Info()
	if err != nil {
		return sys.Stat_t{}, f.sandbox.errno(err)
	}
	return sys.NewStat_t(info), 0
}

// Read implements esys.File.
func (f *file) Read(p []byte) (int, esys.Errno) {
	n, err := f.ReadAt(p, f.position)
	f.position += int64(n)
	return n, f.sandbox.errno(err)
}

// Pread implements esys.File.
func (f *file) Pread(p []byte, offset int64) (int, esys.Errno) {
	n, err := f.ReadAt(p, offset)
	return n, f.sandbox.errno(err)
}

// offset is int64 by another name: `go vet` wants Seek to be that of io.Seeker, whose error is another type.
type offset = int64

// Seek implements esys.File.
func (f *file) Seek(by offset, whence int) (int64, esys.Errno) {
	if f.File.IsDir() {
		if by != 0 || whence != io.SeekStart {
			return 0, esys.EINVAL
		}
		return 0, f.sandbox.errno(f.Rewind())
	}
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = f.position
	case io.SeekEnd:
		size, err := f.Size()
		if err != nil {
			return 0, f.sandbox.errno(err)
		}
		base = size
	default:
		return 0, esys.EINVAL
	}
	if to := base + by; to < 0 || by > 0 && to < base {
		return 0, esys.EINVAL
	}
	f.position = base + by
	return f.position, 0
}

// Readdir implements esys.File.
func (f *file) Readdir(n int) ([]esys.Dirent, esys.Errno) {
	list, err := f.ReadDir(n)
	entries := make([]esys.Dirent, 0, len(list))
	for _, d := range list {
		entries = append(entries, esys.Dirent{Name: d.Name(), Type: d.Type()})
	}
	return entries, f.sandbox.errno(err)
}

// Write implements esys.File.
func (f *file) Write(p []byte) (int, esys.Errno) {
	at := f.position
	if f.appends {
		at = -1
	}
	n, end, err := f.WriteAt(p, at)
	if err == nil {
		f.position = end
	}
	return n, f.sandbox.errno(err)
}

// Pwrite implements esys.File. On a file that was opened for appending it appends, as on Linux.
func (f *file) Pwrite(p []byte, offset int64) (int, esys.Errno) {
	if offset < 0 {
		return 0, esys.EINVAL
	}
	if f.appends {
		offset = -1
	}
	n, _, err := f.WriteAt(p, offset)
	return n, f.sandbox.errno(err)
}

// Truncate implements esys.File.
func (f *file) Truncate(size int64) esys.Errno { return f.sandbox.errno(f.File.Truncate(size)) }

// Sync implements esys.File.
func (f *file) Sync() esys.Errno { return f.sandbox.errno(f.File.Sync()) }

// Datasync implements esys.File.
func (f *file) Datasync() esys.Errno { return f.sandbox.errno(f.File.Datasync()) }

// Utimens implements esys.File.
func (f *file) Utimens(atim, mtim int64) esys.Errno {
	return f.sandbox.errno(f.SetTimes(times(atim, mtim)))
}

// Close implements esys.File.
func (f *file) Close() esys.Errno { return f.sandbox.errno(f.File.Close()) }

var (
	_ esys.FS   = (*tree)(nil)
	_ esys.File = (*file)(nil)
)
