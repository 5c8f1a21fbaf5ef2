package native

import (
	"fmt"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"

	"countersign/host/native/files"
)

// allowed is what a program needs to compute, to wait, and to use descriptors that it has: memory, threads, signals to
// itself, clocks, random numbers. Whatever opens, connects, executes, traces, mounts or changes identity is missing,
// and fails with EPERM. Names that an architecture does not have are left out there.
var allowed = []string{
	"read", "write", "readv", "writev", "close", "recvfrom", "sendto", "recvmsg", "sendmsg", "shutdown",
	"fcntl", "dup", "dup3", "pipe2", "eventfd2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"poll", "ppoll", "select", "pselect6", "fstat", "getsockopt", "getsockname",
	"brk", "munmap", "mremap", "madvise", "mincore", "membarrier",
	"futex", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "arch_prctl",
	"sched_yield", "sched_getaffinity", "getcpu",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "tgkill",
	"timer_create", "timer_settime", "timer_delete", "setitimer", "getitimer",
	"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
	"getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "getrlimit", "prlimit64", "uname",
	"getrusage", "times", "sysinfo", "exit", "exit_group",
}

// installFilter puts the calling thread under the filter. With files, the host gets what it executes system calls on files
// with.
func installFilter(withFiles bool) error {
	policy, err := filterPolicy()
	if err != nil {
		return err
	}
	if !withFiles {
		if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Policy: policy}); err != nil {
			return fmt.Errorf("loading the filter: %w", err)
		}
		return nil
	}
	rules, err := files.Rules()
	if err != nil {
		return err
	}
	policy.Syscalls = append([]seccomp.SyscallGroup{rules}, policy.Syscalls...)
	listener, err := files.Install(policy)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(statusFD, []byte("\n"), unix.UnixRights(int(listener.Fd())), nil, 0); err != nil {
		return fmt.Errorf("handing the filter to the host: %w", err)
	}
	return nil // executing the function closes the listener
}

// filterPolicy is what is allowed without the host.
func filterPolicy() (seccomp.Policy, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, fmt.Errorf("system calls of this architecture: %w", err)
	}
	var names []string
	for _, name := range allowed {
		if _, ok := info.SyscallNames[name]; ok {
			names = append(names, name)
		}
	}
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: names},
			{Action: seccomp.ActionAllow, NamesWithCondtions: conditional()},
		},
	}, nil
}

// conditional is what is allowed with some arguments only: threads but no processes and no namespaces, memory that is
// not executable, and the one execution with which the shim becomes the function.
func conditional() []seccomp.NameWithConditions {
	const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS |
		unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	return []seccomp.NameWithConditions{
		{Name: "clone", Conditions: []seccomp.Condition{
			{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD},
			{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaces},
		}},
		{Name: "mprotect", Conditions: []seccomp.Condition{
			{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC},
		}},
		{Name: "mmap", Conditions: []seccomp.Condition{
			{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC},
		}},
		{Name: "execveat", Conditions: []seccomp.Condition{
			{Argument: 0, Operation: seccomp.Equal, Value: executableFD},
			{Argument: 4, Operation: seccomp.Equal, Value: unix.AT_EMPTY_PATH},
		}},
	}
}

// pointers makes what the kernel takes as argv or envp.
func pointers(texts []string) ([]*byte, error) {
	out, err := syscall.SlicePtrFromStrings(texts)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return out, nil
}

// execveat executes what a descriptor refers to. It returns only on failure.
func execveat(fd int, path *byte, argv, envp []*byte) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
