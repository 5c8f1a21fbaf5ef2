// Command probe is a native function that tries what its request names and tells how that went.
package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"countersign.internal/sdk"
)

// Request names what to try.
type Request struct {
	Try  string `json:"try"`
	Arg  string `json:"arg"`
	Size int    `json:"size"`
}

// Reply tells how it went.
type Reply struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Text   string `json:"text,omitempty"`
	Caller string `json:"caller,omitempty"`
}

var (
	probe = sdk.Define[Request, Reply]("probe")
	other = sdk.Define[string, string]("other")
	sink  int
	kept  [][]byte
)

func init() { sdk.Handle(probe, handle) }

func main() { sdk.Main() }

func handle(ctx context.Context, r Request) (Reply, error) {
	switch r.Try {
	case "panic":
		panic("deliberate")
	case "goroutine panic":
		go func() { panic("deliberate, in a goroutine") }()
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(r.Size)
	case "loop":
		for {
			sink++
		}
	case "wait":
		<-ctx.Done()
		return Reply{}, ctx.Err()
	case "sleep":
		time.Sleep(time.Duration(r.Size) * time.Millisecond)
	case "allocate":
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case "reserve":
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(math.MaxInt64)
		for {
			kept = append(kept, make([]byte, 1<<30))
		}
	case "garbage":
		if _, err := os.NewFile(3, "host").WriteString("\xff\xff\xff\xffthis is no frame"); err != nil {
			return Reply{}, err
		}
		time.Sleep(time.Minute)
	case "print":
		fmt.Println("on the standard output")
		fmt.Fprintln(os.Stderr, "on the standard error")
	case "huge":
		return Reply{Text: strings.Repeat("x", r.Size)}, nil
	case "call":
		text, err := other.Call(ctx, r.Arg)
		return result(text, err, ctx), nil
	case "shared", "sparse", "pipes", "threads", "calls", "orphans":
		return result("", hold(ctx, r), ctx), nil
	case "environment":
		return Reply{OK: true, Text: strings.Join(append(os.Args, os.Environ()...), " ")}, nil
	case "failing read", "failing connect":
		return Reply{}, try(Request{Try: strings.TrimPrefix(r.Try, "failing "), Arg: r.Arg})
	default:
		return result("", try(r), ctx), nil
	}
	return result("", nil, ctx), nil
}

func result(text string, err error, ctx context.Context) Reply {
	r := Reply{OK: err == nil, Text: text, Caller: sdk.Caller(ctx)}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// try does something that a function must not be able to do.
func try(r Request) error {
	switch r.Try {
	case "read":
		_, err := os.ReadFile(r.Arg)
		return err
	case "list":
		_, err := os.ReadDir(r.Arg)
		return err
	case "stat":
		_, err := os.Stat(r.Arg)
		return err
	case "write":
		return os.WriteFile(r.Arg, []byte("x"), 0o600)
	case "memfd":
		_, _, errno := syscall.RawSyscall(319, 0, 0, 0)
		return failure(errno)
	case "connect":
		conn, err := net.Dial("tcp", r.Arg)
		if err == nil {
			err = conn.Close()
		}
		return err
	case "listen":
		l, err := net.Listen("tcp", r.Arg+":0")
		if err == nil {
			err = l.Close()
		}
		return err
	case "bind": // net.Listen takes MPTCP where there is some
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, syscall.IPPROTO_TCP)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		return syscall.Bind(fd, &syscall.SockaddrInet4{Port: r.Size})
	case "socket":
		_, err := syscall.Socket(r.Size, syscall.SOCK_STREAM, 0)
		return err
	case "execute":
		return exec.Command(r.Arg).Run()
	case "fork":
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		return failure(errno)
	case "clone": // the kernel refuses a thread without the handlers of the others, if the filter lets it come to that
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(r.Size), 0, 0)
		return failure(errno)
	case "execute descriptor": // descriptor, path and flags; there is nothing to execute, if the filter lets it come to that
		var fd, flags int
		if _, err := fmt.Sscan(r.Arg, &fd, &flags); err != nil {
			return err
		}
		_, _, errno := syscall.RawSyscall6(sysExecveat, uintptr(fd), uintptr(unsafe.Pointer(&[]byte{0}[0])), 0, 0, uintptr(flags), 0)
		return failure(errno)
	case "protect":
		page, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return nil
		}
		return syscall.Mprotect(page, syscall.PROT_READ|syscall.PROT_EXEC)
	case "signal":
		return syscall.Kill(r.Size, syscall.SIGTERM)
	case "trace":
		return syscall.PtraceAttach(1)
	case "mount":
		return syscall.Mount("none", "/", "tmpfs", 0, "")
	case "hostname":
		return syscall.Sethostname([]byte("x"))
	case "root":
		return syscall.Setuid(0)
	case "executable memory":
		_, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_EXEC|syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		return err
	case "descriptors":
		for fd := 4; fd < 64; fd++ {
			var stat syscall.Stat_t
			if err := syscall.Fstat(fd, &stat); err == nil && stat.Mode&syscall.S_IFMT != 0 && regular(stat) {
				return nil
			}
		}
		return syscall.EBADF
	}
	return fmt.Errorf("no such thing to try: %q", r.Try)
}

// sysExecveat is the number of execveat(2), which package syscall does not have.
var sysExecveat = map[string]uintptr{"amd64": 322, "arm64": 281}[runtime.GOARCH]

// regular tells files, directories and sockets from what Go's runtime opens for itself.
func regular(stat syscall.Stat_t) bool {
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG, syscall.S_IFDIR, syscall.S_IFSOCK, syscall.S_IFBLK:
		return true
	}
	return false
}

func failure(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
