package files

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Base is the first descriptor of a file. The kernel gives a process none that high: it may have 64.
const Base = 1 << 20

// Rules are the system calls that the filter of a process hands over: those that name files, and of those on descriptors the
// ones for descriptors of files.
func Rules() (seccomp.SyscallGroup, error) {
	group := seccomp.SyscallGroup{Action: seccomp.ActionUserNotify}
	info, err := arch.GetInfo("")
	if err != nil {
		return group, fmt.Errorf("system calls of this architecture: %w", err)
	}
	for _, c := range calls {
		name, ok := info.SyscallNumbers[int(c.number)]
		switch {
		case !ok:
			return group, fmt.Errorf("system call %d is not known on %s", c.number, info.Name)
		case c.descriptor:
			group.NamesWithCondtions = append(group.NamesWithCondtions, seccomp.NameWithConditions{Name: name,
				Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.GreaterOrEqual, Value: Base}}})
		default:
			group.Names = append(group.Names, name)
		}
	}
	return group, nil
}

// Install puts the calling thread under a filter that has Rules, and returns what the host receives system calls from.
// Once one was received the thread waits for the answer, whatever signals come: it would be executed twice otherwise.
func Install(program []bpf.Instruction) (*os.File, error) {
	fd, err := Load(program, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if err != nil {
		return nil, fmt.Errorf("%w (handing system calls over needs Linux 5.19)", err)
	}
	return os.NewFile(fd, "system calls"), nil
}

// Load puts the calling thread under a filter.
func Load(program []bpf.Instruction, flags uintptr) (uintptr, error) {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return 0, fmt.Errorf("assembling the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	whole := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&whole)))
	if errno != 0 {
		return 0, fmt.Errorf("loading the filter: %w", errno)
	}
	return fd, nil
}

// Supported says why this machine can't give native functions storage, or returns nil. That the memory of a process can be
// read is known only when there is one.
func Supported() error {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); errno != 0 {
		return fmt.Errorf("the kernel's seccomp can't hand over system calls: %w", errno)
	}
	var sizes struct{ notification, response, _ uint16 }
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes))); errno != 0 {
		return fmt.Errorf("asking the kernel for the size of system calls that are handed over: %w", errno)
	}
	if sizes.notification > notificationSize || uintptr(sizes.response) > unsafe.Sizeof(response{}) {
		return fmt.Errorf("the kernel hands over system calls in %d bytes, and this version knows %d", sizes.notification, notificationSize)
	}
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil { // the kernel has no Yama
		return nil
	}
	return mayRead(strings.TrimSpace(string(scope)), os.Geteuid() == 0)
}

// mayRead says why a host can't read the memory of a process that it started, under a scope of Yama's.
func mayRead(scope string, root bool) error {
	if scope == "0" || scope == "1" || scope == "2" && root {
		return nil
	}
	return fmt.Errorf("kernel.yama.ptrace_scope is %s, with which the host can't read the memory of a function's process", scope)
}
