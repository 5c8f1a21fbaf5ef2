package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// System calls that package syscall does not have, by the numbers of amd64 and arm64.
var later = map[string]uintptr{"copy_file_range": 326, "statx": 332, "io_uring_setup": 425, "openat2": 437, "renameat2": 316,
	"preadv2": 327, "pwritev2": 328, "close_range": 436, "name_to_handle_at": 303, "open_by_handle_at": 304, "memfd_create": 319,
	"userfaultfd": 323, "open_tree": 428, "faccessat2": 439, "execveat": 322}

const cwd = ^uintptr(99) // AT_FDCWD

func raw(number uintptr, args ...uintptr) error {
	args = append(args, make([]uintptr, 6)...)
	_, _, errno := syscall.Syscall6(number, args[0], args[1], args[2], args[3], args[4], args[5])
	if errno != 0 {
		return errno
	}
	return nil
}

func text(s string) uintptr {
	b := append([]byte(s), 0)
	return uintptr(unsafe.Pointer(&b[0]))
}

// attack does by system calls what package os does not do. It returns the attacks that succeeded; path names a file in a tag.
func attack(path string, size int) (string, int, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	fd := f.Fd()
	other, err := os.OpenFile(path+".other", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", 0, err
	}
	defer other.Close()
	if _, err := f.Write(make([]byte, 100)); err != nil {
		return "", 0, err
	}
	page := make([]byte, 4096)
	at := uintptr(unsafe.Pointer(&page[0]))
	vector := [2]uintptr{at, 100}
	vectors := uintptr(unsafe.Pointer(&vector))
	dir := path[:strings.LastIndex(path, "/")]
	top, err := os.Open(dir)
	if err != nil {
		return "", 0, err
	}
	defer top.Close()
	huge := uintptr(size)
	attacks := map[string]error{
		"mknod char":               raw(syscall.SYS_MKNODAT, cwd, text(dir+"/dev"), syscall.S_IFCHR|0o666, 1<<8|5),
		"mknod block":              raw(syscall.SYS_MKNODAT, cwd, text(dir+"/dev"), syscall.S_IFBLK|0o666, 8<<8),
		"mknod below dir":          raw(syscall.SYS_MKNODAT, top.Fd(), text("dev"), syscall.S_IFCHR|0o666, 1<<8|5),
		"mkfifo":                   raw(syscall.SYS_MKNODAT, cwd, text(dir+"/pipe2"), syscall.S_IFIFO|0o666, 0),
		"socket file":              raw(syscall.SYS_MKNODAT, cwd, text(dir+"/socket"), syscall.S_IFSOCK|0o666, 0),
		"regular by mknod":         raw(syscall.SYS_MKNODAT, cwd, text(dir+"/regular"), syscall.S_IFREG|0o666, 0),
		"setuid":                   raw(syscall.SYS_FCHMODAT, cwd, text(path), 0o4777, 0),
		"setuid fd":                raw(syscall.SYS_FCHMOD, fd, 0o6777),
		"chown":                    raw(syscall.SYS_FCHOWNAT, cwd, text(path), 1000, 1000, 0),
		"chown fd":                 raw(syscall.SYS_FCHOWN, fd, 1000, 1000),
		"xattr":                    raw(syscall.SYS_SETXATTR, text(path), text("user.x"), at, 10, 0),
		"xattr fd":                 raw(syscall.SYS_FSETXATTR, fd, text("user.x"), at, 10, 0),
		"symlink":                  raw(syscall.SYS_SYMLINKAT, text("/etc/passwd"), cwd, text(dir+"/sl")),
		"fallocate":                raw(syscall.SYS_FALLOCATE, fd, 0, 0, huge),
		"fallocate keep size":      raw(syscall.SYS_FALLOCATE, fd, 1, 0, huge),
		"ftruncate":                raw(syscall.SYS_FTRUNCATE, fd, huge),
		"truncate":                 raw(syscall.SYS_TRUNCATE, text(path), huge),
		"ftruncate negative":       raw(syscall.SYS_FTRUNCATE, fd, ^uintptr(0)),
		"pwrite far":               raw(syscall.SYS_PWRITE64, fd, at, 1, huge),
		"pwrite at the end":        raw(syscall.SYS_PWRITE64, fd, at, 4096, ^uintptr(0)>>1-10),
		"pwrite negative":          raw(syscall.SYS_PWRITE64, fd, at, 1, ^uintptr(0)),
		"mmap shared":              raw(syscall.SYS_MMAP, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED, fd, 0),
		"mmap private":             raw(syscall.SYS_MMAP, 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE, fd, 0),
		"sendfile":                 raw(syscall.SYS_SENDFILE, other.Fd(), fd, 0, 100),
		"copy_file_range":          raw(later["copy_file_range"], fd, 0, other.Fd(), 0, 100, 0),
		"splice":                   raw(syscall.SYS_SPLICE, fd, 0, other.Fd(), 0, 100, 0),
		"readv":                    raw(syscall.SYS_READV, fd, vectors, 1),
		"writev":                   raw(syscall.SYS_WRITEV, fd, vectors, 1),
		"pwritev":                  raw(syscall.SYS_PWRITEV, fd, vectors, 1, 0, 0),
		"pwritev2":                 raw(later["pwritev2"], fd, vectors, 1, 0, 0, 0),
		"dup":                      raw(syscall.SYS_DUP, fd),
		"dup3":                     raw(syscall.SYS_DUP3, fd, 60, 0),
		"dup3 to files":            raw(syscall.SYS_DUP3, 3, 1<<20+500, 0),
		"fcntl dup":                raw(syscall.SYS_FCNTL, fd, syscall.F_DUPFD, 0),
		"fcntl dup to files":       raw(syscall.SYS_FCNTL, 3, syscall.F_DUPFD, 1<<20),
		"fcntl lock":               raw(syscall.SYS_FCNTL, fd, syscall.F_SETLK, at),
		"fcntl lease":              raw(syscall.SYS_FCNTL, fd, 1024, 1),
		"flock":                    raw(syscall.SYS_FLOCK, fd, syscall.LOCK_EX),
		"ioctl":                    raw(syscall.SYS_IOCTL, fd, 0x80086601, at),
		"ioctl clone":              raw(syscall.SYS_IOCTL, other.Fd(), 0x40049409, fd),
		"pass on":                  syscall.Sendmsg(3, nil, syscall.UnixRights(int(fd)), nil, 0),
		"epoll":                    raw(syscall.SYS_EPOLL_CTL, 4, syscall.EPOLL_CTL_ADD, fd, at),
		"fchdir":                   raw(syscall.SYS_FCHDIR, top.Fd()),
		"chdir":                    raw(syscall.SYS_CHDIR, text(dir)),
		"chroot":                   raw(syscall.SYS_CHROOT, text(dir)),
		"O_TMPFILE":                raw(syscall.SYS_OPENAT, cwd, text(dir), 0x410000|syscall.O_RDWR, 0o600),
		"O_PATH":                   raw(syscall.SYS_OPENAT, cwd, text(dir), 0x200000, 0),
		"O_DIRECT":                 raw(syscall.SYS_OPENAT, cwd, text(path), uintptr(syscall.O_DIRECT|syscall.O_RDWR), 0),
		"setuid by creation":       setuidFile(dir + "/born"),
		"openat2":                  raw(later["openat2"], cwd, text("/etc/passwd"), at, 24),
		"open_by_handle_at":        raw(later["open_by_handle_at"], fd, at, 0),
		"name_to_handle_at":        raw(later["name_to_handle_at"], fd, text(""), at, at+100, 0x1000),
		"io_uring":                 raw(later["io_uring_setup"], 1, at),
		"open_tree":                raw(later["open_tree"], cwd, text(dir), 1),
		"userfaultfd":              raw(later["userfaultfd"], 0),
		"execute a file":           raw(later["execveat"], fd, text(""), 0, 0, 0x1000),
		"execute a path":           raw(syscall.SYS_EXECVE, text(path), 0, 0),
		"/proc/self/fd":            raw(syscall.SYS_OPENAT, cwd, text(fmt.Sprintf("/proc/self/fd/%d", fd)), 0, 0),
		"/proc/self/root":          raw(syscall.SYS_OPENAT, cwd, text("/proc/self/root/etc/passwd"), 0, 0),
		"up from a dir":            raw(syscall.SYS_OPENAT, top.Fd(), text("../neighbour/secret"), 0, 0),
		"up from a file":           raw(syscall.SYS_OPENAT, fd, text("../secret"), 0, 0),
		"link from a dir":          raw(syscall.SYS_LINKAT, top.Fd(), text("../neighbour/secret"), top.Fd(), text("mine"), 0),
		"link an fd":               raw(syscall.SYS_LINKAT, fd, text(""), cwd, text(dir+"/again"), 0x1000),
		"link the socket":          raw(syscall.SYS_LINKAT, 3, text(""), cwd, text(dir+"/again"), 0x1000),
		"rename out":               raw(syscall.SYS_RENAMEAT, cwd, text(path), cwd, text("/out")),
		"exchange":                 raw(later["renameat2"], cwd, text(path), cwd, text(path+".other"), 2),
		"whiteout":                 raw(later["renameat2"], cwd, text(path), cwd, text(dir+"/white"), 4),
		"unlink the tag":           raw(syscall.SYS_UNLINKAT, cwd, text(dir), 0x200),
		"a path nowhere":           raw(syscall.SYS_OPENAT, cwd, 8, 0, 0),
		"a path in the kernel":     raw(syscall.SYS_OPENAT, cwd, ^uintptr(0)-4096, 0, 0),
		"an endless path":          raw(syscall.SYS_OPENAT, cwd, text("/"+strings.Repeat("a", 70000)), 0, 0),
		"an empty path":            raw(syscall.SYS_OPENAT, cwd, text(""), 0, 0),
		"read to nowhere":          raw(syscall.SYS_PREAD64, fd, 8, 100, 0),
		"read to the code":         raw(syscall.SYS_PREAD64, fd, code(), 16, 0),
		"write from nowhere":       raw(syscall.SYS_WRITE, fd, 8, 100),
		"write what is half there": raw(syscall.SYS_WRITE, fd, ^uintptr(0)>>17-100, 4096),
		"stat to nowhere":          raw(syscall.SYS_FSTAT, fd, 8),
		"times from nowhere":       raw(syscall.SYS_UTIMENSAT, cwd, text(path), 8, 0),
		"a number too high":        raw(syscall.SYS_READ, fd+1000, at, 10),
		"the highest number":       raw(syscall.SYS_READ, 1<<31-1, at, 10),
		"more than a number":       raw(syscall.SYS_READ, 1<<40|3, at, 10),
		"close the socket":         raw(syscall.SYS_CLOSE, 1<<40|3),
		"seek before":              raw(syscall.SYS_LSEEK, fd, ^uintptr(0)-1<<40, 0),
		"seek for data":            raw(syscall.SYS_LSEEK, fd, 0, 3),
		"seek a directory":         raw(syscall.SYS_LSEEK, top.Fd(), 1, 0),
		"read a directory":         raw(syscall.SYS_READ, top.Fd(), at, 10),
		"entries of a file":        raw(syscall.SYS_GETDENTS64, fd, at, 4096),
		"set to own code":          raw(syscall.SYS_FSTAT, fd, code()),
	}
	var succeeded []string
	for name, err := range attacks {
		if err == nil {
			succeeded = append(succeeded, name)
		}
	}
	slices.Sort(succeeded)
	return strings.Join(succeeded, ", "), len(attacks), nil
}

// code is where the program's own instructions are, which nothing may write to.
func code() uintptr {
	do := raw
	return **(**uintptr)(unsafe.Pointer(&do))
}

// setuidFile fails unless a file can be made with the bit.
func setuidFile(path string) error {
	if err := raw(syscall.SYS_OPENAT, cwd, text(path), uintptr(os.O_CREATE|os.O_RDWR), 0o6777); err != nil {
		return err
	}
	defer os.Remove(path)
	info, err := os.Stat(path)
	if err != nil || info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 || info.Mode().Perm() != 0o600 {
		return nil
	}
	return errors.New("it has other bits")
}

// race uses and closes the same few descriptors from many threads at once.
func race(dir string, size int) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			b := make([]byte, 100)
			at := uintptr(unsafe.Pointer(&b[0]))
			for n := range size {
				fd := uintptr(1<<20 + n%4)
				raw(syscall.SYS_OPENAT, cwd, text(fmt.Sprintf("%s/%d", dir, i)), uintptr(os.O_CREATE|os.O_RDWR), 0o600)
				raw(syscall.SYS_WRITE, fd, at, 100)
				raw(syscall.SYS_PREAD64, fd, at, 100, 0)
				raw(syscall.SYS_CLOSE, fd)
				if n%8 == 0 {
					raw(syscall.SYS_UNLINKAT, cwd, text(fmt.Sprintf("%s/%d", dir, i)), 0)
				}
			}
		}()
	}
	wg.Wait()
	for fd := range uintptr(1100) {
		raw(syscall.SYS_CLOSE, 1<<20+fd)
	}
}
