package storage

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Flags of Volume.OpenFile, those of open(2), that are passed on. Others mean nothing here.
const passedFlags = unix.O_ACCMODE | unix.O_EXCL | unix.O_DIRECTORY | unix.O_SYNC | unix.O_DSYNC

// File is an open file or directory of a volume. Reads can run at the same time as anything else.
type File struct {
	volume *Volume
	fd     int
	inode  *inode   // nil for a directory
	list   *os.File // of a directory
	writes bool
	root   bool // not counted among those that are open
	closed atomic.Bool
}

// OpenRoot is OpenFile for the directory of the tag itself, and does not count.
func (v *Volume) OpenRoot(string, int) (*File, error) {
	if err := v.enter(); err != nil {
		return nil, err
	}
	fd, err := v.at(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		v.leave()
		return nil, err
	}
	return &File{volume: v, fd: fd, list: os.NewFile(uintptr(fd), "."), root: true}, nil
}

// OpenFile opens a regular file or a directory. flags are those of open(2).
func (v *Volume) OpenFile(name string, flags int) (*File, error) {
	writes := flags&unix.O_ACCMODE != unix.O_RDONLY
	if v.limits.ReadOnly && (writes || flags&(unix.O_CREAT|unix.O_TRUNC) != 0) {
		return nil, unix.EROFS
	}
	if flags&unix.O_TRUNC != 0 && !writes {
		return nil, unix.EINVAL
	}
	if err := v.enter(); err != nil { // for as long as it is open
		return nil, err
	}
	if v.open.Add(1) > maxOpen {
		v.open.Add(-1)
		v.leave()
		v.refused.Add(1)
		return nil, unix.EMFILE
	}
	f, err := v.openFile(name, flags)
	if err != nil {
		v.open.Add(-1)
		v.leave()
		return nil, err
	}
	if flags&unix.O_TRUNC != 0 {
		if err := f.Truncate(0); err != nil {
			f.Close()
			return nil, err
		}
	}
	f.writes = writes
	return f, nil
}

func (v *Volume) openFile(name string, flags int) (*File, error) {
	if err := v.disk.begin(); err != nil {
		return nil, err
	}
	defer v.disk.done()
	v.disk.names.Lock()
	defer v.disk.names.Unlock()
	fd, err := v.existingOrNew(name, flags)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := &File{volume: v, fd: fd, writes: true}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if err := dropPrivileges(fd, &st, flags); err != nil {
			unix.Close(fd)
			return nil, err
		}
		f.inode = v.disk.opened(&st)
	case unix.S_IFDIR:
		if v.openDirs.Add(1) > maxOpenDirs {
			v.openDirs.Add(-1)
			v.refused.Add(1)
			unix.Close(fd)
			return nil, unix.EMFILE
		}
		f.list = os.NewFile(uintptr(fd), path.Base(name))
	default:
		unix.Close(fd)
		return nil, unix.EACCES
	}
	return f, nil
}

// dropPrivileges takes the setuid and setgid bits from a file before a function may write to it: the kernel does so for others, and not
// for root, as whom a host may run. Whoever executes the file would execute what the function wrote, as somebody else.
func dropPrivileges(fd int, st *unix.Stat_t, flags int) error {
	if flags&unix.O_ACCMODE == unix.O_RDONLY || st.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return nil
	}
	return unix.Fchmod(fd, st.Mode&0o1777)
}

// existingOrNew opens what is there, or makes it if flags want that and one more file may be. names is held.
func (v *Volume) existingOrNew(name string, flags int) (int, error) {
	fd, err := v.existing(name, flags&passedFlags&^unix.O_EXCL)
	switch {
	case flags&unix.O_CREAT == 0:
		return fd, err
	case err == nil && flags&unix.O_EXCL != 0:
		unix.Close(fd)
		return -1, unix.EEXIST
	case err != unix.ENOENT:
		return fd, err
	}
	err = v.add(func() error {
		var err error
		fd, err = v.at(name, uint64(flags&passedFlags|unix.O_CREAT|unix.O_EXCL), 0o600)
		return err
	})
	return fd, err
}

// existing opens a regular file or a directory. It is looked at first, since to open a device can have consequences.
func (v *Volume) existing(name string, flags int) (int, error) {
	found, err := v.at(name, unix.O_PATH, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return -1, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
	case unix.S_IFLNK:
		return -1, unix.ELOOP
	default:
		return -1, unix.EACCES
	}
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", found), flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// IsDir tells whether it is a directory.
func (f *File) IsDir() bool { return f.inode == nil }

// Stat looks at the file.
func (f *File) Stat() (st unix.Stat_t, err error) {
	if err := f.volume.disk.begin(); err != nil {
		return st, err
	}
	defer f.volume.disk.done()
	err = unix.Fstat(f.fd, &st)
	return st, err
}

// Info looks at the file, in the form that os has for it.
func (f *File) Info() (os.FileInfo, error) {
	if err := f.volume.disk.begin(); err != nil {
		return nil, err
	}
	defer f.volume.disk.done()
	if f.list != nil {
		return f.list.Stat()
	}
	return f.volume.infoOf(f.fd)
}

// infoOf looks at an open file.
func (v *Volume) infoOf(fd int) (os.FileInfo, error) {
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(again), "")
	defer file.Close()
	return file.Stat()
}

// ReadDir returns up to n entries more, and none at the end.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) {
	if err := f.volume.disk.begin(); err != nil {
		return nil, err
	}
	defer f.volume.disk.done()
	if f.list == nil {
		return nil, unix.ENOTDIR
	}
	return f.list.ReadDir(n)
}

// Entries fills p with entries in the kernel's form (getdents64(2)), and returns 0 at the end. A directory is read by it or by
// ReadDir.
func (f *File) Entries(p []byte) (int, error) {
	if err := f.volume.disk.begin(); err != nil {
		return 0, err
	}
	defer f.volume.disk.done()
	if f.list == nil {
		return 0, unix.ENOTDIR
	}
	n, err := unix.Getdents(f.fd, p)
	return max(n, 0), err
}

// Rewind has ReadDir begin anew.
func (f *File) Rewind() error {
	if f.list == nil {
		return unix.ENOTDIR
	}
	_, err := f.list.Seek(0, 0)
	return err
}

// ReadAt reads like pread(2): less than asked for, or nothing, at the end.
func (f *File) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.volume.disk.begin(); err != nil {
		return 0, err
	}
	defer f.volume.disk.done()
	if f.IsDir() {
		return 0, unix.EISDIR
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := unix.Pread(f.fd, p, offset)
	return max(n, 0), err
}

// WriteAt writes like pwrite(2): as much as there is room for. With a negative offset it writes at the end. It returns where
// what it wrote ends.
func (f *File) WriteAt(p []byte, offset int64) (n int, end int64, err error) {
	if err := f.volume.disk.begin(); err != nil {
		return 0, 0, err
	}
	defer f.volume.disk.done()
	if err := f.writable(); err != nil {
		return 0, 0, err
	}
	in := f.inode
	in.write.Lock()
	defer in.write.Unlock()
	if offset < 0 {
		offset = in.size
	}
	if offset > math.MaxInt64-int64(len(p)) {
		return 0, offset, unix.EFBIG
	}
	if len(p) == 0 {
		return 0, offset, nil
	}
	before := in.size
	p, err = f.grow(p, offset)
	if err != nil {
		return 0, offset, err
	}
	n, err = unix.Pwrite(f.fd, p, offset)
	n = max(n, 0)
	end = offset + int64(n)
	if reached := max(before, end); n == 0 && in.size > before {
		f.volume.disk.giveBytes(in.size - before)
		in.size = before
	} else if in.size > reached {
		f.volume.disk.giveBytes(in.size - reached)
		in.size = reached
	}
	return n, end, err
}

// grow books what writing p at an offset adds, and returns the part of p for which there is room. inode.write is held.
func (f *File) grow(p []byte, offset int64) ([]byte, error) {
	in, end := f.inode, offset+int64(len(p))
	if end <= in.size {
		return p, nil
	}
	want := end - in.size
	got := f.volume.disk.takeBytes(want, f.volume.limits.MaxBytes)
	fits := int64(len(p)) - (want - got)
	if fits <= 0 {
		f.volume.disk.giveBytes(got)
		return nil, f.volume.full()
	}
	in.size += got
	return p[:fits], nil
}

func (f *File) writable() error {
	switch {
	case f.IsDir():
		return unix.EISDIR
	case !f.writes || f.volume.limits.ReadOnly:
		return unix.EBADF
	}
	return nil
}

// Truncate makes the file as long as size: what is beyond goes, what is missing becomes a hole, which counts.
func (f *File) Truncate(size int64) error {
	if err := f.volume.disk.begin(); err != nil {
		return err
	}
	defer f.volume.disk.done()
	if err := f.writable(); err != nil {
		return err
	}
	if size < 0 {
		return unix.EINVAL
	}
	in, disk := f.inode, f.volume.disk
	in.write.Lock()
	defer in.write.Unlock()
	more := size - in.size
	if more > 0 {
		if got := disk.takeBytes(more, f.volume.limits.MaxBytes); got < more {
			disk.giveBytes(got)
			return f.volume.full()
		}
	}
	if err := unix.Ftruncate(f.fd, size); err != nil {
		disk.giveBytes(max(more, 0))
		return err
	}
	if more < 0 {
		disk.giveBytes(-more)
	}
	in.size = size
	return nil
}

// Size is the file's length.
func (f *File) Size() (int64, error) {
	st, err := f.Stat()
	return st.Size, err
}

// Sync returns when the file's content and metadata are on the disk; of a directory, its names.
func (f *File) Sync() error {
	if err := f.volume.disk.begin(); err != nil {
		return err
	}
	defer f.volume.disk.done()
	return unix.Fsync(f.fd)
}

// Datasync returns when the file's content is on the disk.
func (f *File) Datasync() error {
	if err := f.volume.disk.begin(); err != nil {
		return err
	}
	defer f.volume.disk.done()
	return unix.Fdatasync(f.fd)
}

// SetTimes sets the times of access and change.
func (f *File) SetTimes(times [2]unix.Timespec) error {
	if err := f.volume.disk.begin(); err != nil {
		return err
	}
	defer f.volume.disk.done()
	if f.volume.limits.ReadOnly {
		return unix.EROFS
	}
	return unix.UtimesNanoAt(f.fd, "", times[:], unix.AT_EMPTY_PATH)
}

// Close closes the file. It may be called more than once.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return nil
	}
	defer f.volume.leave()
	if f.root {
		return f.list.Close()
	}
	defer f.volume.open.Add(-1)
	if f.list != nil {
		f.volume.openDirs.Add(-1)
		return f.list.Close()
	}
	return f.volume.disk.closeFile(f.inode, f.fd)
}
