package storage

import (
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Limits is what a tag permits.
type Limits struct {
	ReadOnly bool
	MaxBytes int64 // 0: no bound
	MaxFiles int64
}

// Open files and directories that all instances of an allocation together may have of one tag.
const (
	maxOpen     = 1024
	maxOpenDirs = 64
)

// Volume is a storage tag of one allocation. Its methods can be called by several goroutines.
type Volume struct {
	disks  *Disks
	disk   *disk
	limits Limits

	open, openDirs atomic.Int64
	refused        atomic.Int64 // operations that the limits did not permit

	mu     sync.Mutex
	users  int // open files, and operations on names; guarded by mu
	closed bool
}

// Open makes a volume of a directory, which the caller closes. What is there is counted before it returns.
func (d *Disks) Open(dir *os.File, limits Limits) (*Volume, error) {
	k, err := d.open(dir, !limits.ReadOnly)
	if err != nil {
		return nil, err
	}
	return &Volume{disks: d, disk: k, limits: limits}, nil
}

// Close gives the directory back, when no file of the volume is open any more and no operation under way: one that waits for
// a disk holds up nobody. Nothing new begins.
func (v *Volume) Close() error {
	v.mu.Lock()
	last := !v.closed && v.users == 0
	v.closed = true
	v.mu.Unlock()
	if last {
		return v.disks.close(v.disk, !v.limits.ReadOnly)
	}
	return nil
}

// enter begins to use the directory, unless the volume is closed.
func (v *Volume) enter() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return unix.EIO
	}
	v.users++
	return nil
}

// operate begins an operation on names, which ends with what it returns.
func (v *Volume) operate() (end func(), err error) {
	if err := v.enter(); err != nil {
		return nil, err
	}
	if err := v.disk.begin(); err != nil {
		v.leave()
		return nil, err
	}
	return func() { v.disk.done(); v.leave() }, nil
}

// leave ends what enter began.
func (v *Volume) leave() {
	v.mu.Lock()
	v.users--
	last := v.closed && v.users == 0
	v.mu.Unlock()
	if last {
		// Nobody is left who could be told, and nothing can be lost: it is a directory.
		_ = v.disks.close(v.disk, !v.limits.ReadOnly)
	}
}

// ReadOnly tells whether nothing can be changed.
func (v *Volume) ReadOnly() bool { return v.limits.ReadOnly }

// Usage is what is kept in the volume's directory, and how often the tag's bounds were met.
type Usage struct{ Bytes, Files, Refused int64 }

// Usage tells what is counted.
func (v *Volume) Usage() Usage {
	v.disk.count.Lock()
	defer v.disk.count.Unlock()
	return Usage{v.disk.bytes, v.disk.files, v.refused.Load()}
}

// full is the error of what the bounds don't permit.
func (v *Volume) full() error {
	v.refused.Add(1)
	return unix.ENOSPC
}

// resolve keeps a path in the directory: no link is followed, no other file system entered, nothing above reached.
const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// at opens what is at a path below the directory.
func (v *Volume) at(name string, flags, mode uint64) (int, error) {
	name = strings.TrimLeft(name, "/")
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Mode: mode, Resolve: resolve}
	for range 100 {
		fd, err := unix.Openat2(v.disk.dir, name, &how)
		switch err {
		case unix.EAGAIN, unix.EINTR: // something was renamed at the same time
			continue
		case unix.EXDEV: // the path leads out
			return -1, unix.EPERM
		}
		return fd, err
	}
	return -1, unix.EBUSY
}

// parent opens the directory that the last part of a path is in.
func (v *Volume) parent(name string) (dir int, base string, err error) {
	above, base := path.Split(strings.TrimRight(name, "/"))
	if base == "" || base == "." || base == ".." {
		return -1, "", unix.EINVAL
	}
	dir, err = v.at(above, unix.O_PATH|unix.O_DIRECTORY, 0)
	return dir, base, err
}

// change runs do in the directory that a path's last part is in, while no other name changes.
func (v *Volume) change(name string, do func(dir int, base string) error) error {
	if v.limits.ReadOnly {
		return unix.EROFS
	}
	end, err := v.operate()
	if err != nil {
		return err
	}
	defer end()
	v.disk.names.Lock()
	defer v.disk.names.Unlock()
	dir, base, err := v.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return do(dir, base)
}

// Mkdir makes a directory.
func (v *Volume) Mkdir(name string) error {
	return v.change(name, func(dir int, base string) error {
		return v.add(func() error { return unix.Mkdirat(dir, base, 0o700) })
	})
}

// add books one more name for what do makes.
func (v *Volume) add(do func() error) error {
	if !v.disk.takeFile(v.limits.MaxFiles) {
		return v.full()
	}
	err := do()
	if err != nil {
		v.disk.giveFile()
	}
	return err
}

// Remove removes a name: that of an empty directory, or of anything else.
func (v *Volume) Remove(name string, directory bool) error {
	return v.change(name, func(dir int, base string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		flags := 0
		if directory {
			flags = unix.AT_REMOVEDIR
		}
		if err := unix.Unlinkat(dir, base, flags); err != nil {
			return err
		}
		v.disk.gone(&st)
		return nil
	})
}

// Rename gives something another name, in place of what had it.
func (v *Volume) Rename(from, to string) error {
	return v.change(from, func(dir int, base string) error {
		toDir, toBase, err := v.parent(to)
		if err != nil {
			return err
		}
		defer unix.Close(toDir)
		var moved, replaced unix.Stat_t
		if err := unix.Fstatat(dir, base, &moved, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		there := unix.Fstatat(toDir, toBase, &replaced, unix.AT_SYMLINK_NOFOLLOW) == nil
		if err := unix.Renameat2(dir, base, toDir, toBase, 0); err != nil {
			return err
		}
		if there && replaced.Ino != moved.Ino { // two names of one file stay as they are
			v.disk.gone(&replaced)
		}
		return nil
	})
}

// Link gives a regular file one more name.
func (v *Volume) Link(from, to string) error {
	return v.change(from, func(dir int, base string) error {
		toDir, toBase, err := v.parent(to)
		if err != nil {
			return err
		}
		defer unix.Close(toDir)
		var st unix.Stat_t
		if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return unix.EPERM
		}
		err = v.add(func() error { return unix.Linkat(dir, base, toDir, toBase, 0) })
		if err == nil {
			v.disk.links[st.Ino] = max(v.disk.links[st.Ino], 1) + 1
		}
		return err
	})
}

// Status looks at what has a name, in the kernel's form. Of a link it tells that it is one.
func (v *Volume) Status(name string) (st unix.Stat_t, err error) {
	end, err := v.operate()
	if err != nil {
		return st, err
	}
	defer end()
	fd, err := v.at(name, unix.O_PATH, 0)
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	err = unix.Fstat(fd, &st)
	return st, err
}

// Stat is Status in the form that os has for it.
func (v *Volume) Stat(name string) (os.FileInfo, error) {
	end, err := v.operate()
	if err != nil {
		return nil, err
	}
	defer end()
	fd, err := v.at(name, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path.Base(name))
	defer f.Close()
	return f.Stat()
}

// SetTimes sets the times of access and change, in the kernel's form.
func (v *Volume) SetTimes(name string, times [2]unix.Timespec) error {
	if v.limits.ReadOnly {
		return unix.EROFS
	}
	end, err := v.operate()
	if err != nil {
		return err
	}
	defer end()
	fd, err := v.at(name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH)
}
