package native

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
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
	policy, err := filterPolicy(withFiles)
	if err != nil {
		return err
	}
	program, err := assemble(policy)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	if !withFiles {
		_, err := files.Load(program, 0)
		return err
	}
	listener, err := files.Install(program)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(statusFD, []byte("\n"), unix.UnixRights(int(listener.Fd())), nil, 0); err != nil {
		return fmt.Errorf("handing the filter to the host: %w", err)
	}
	return nil // executing the function closes the listener
}

// assemble makes the program of a policy, one part after the other, each of which loads the system call's number itself. The library
// compares what it has loaded last: after a condition that does not hold that is an argument, and a process chooses those.
// A part ends in the default action, in place of which the next one follows.
func assemble(policy seccomp.Policy) (program []bpf.Instruction, err error) {
	add := func(group seccomp.SyscallGroup) {
		part := seccomp.Policy{DefaultAction: policy.DefaultAction, Syscalls: []seccomp.SyscallGroup{group}}
		instructions, e := part.Assemble()
		if e != nil {
			err = errors.Join(err, fmt.Errorf("assembling the filter: %w", e))
			return
		}
		program = append(program[:max(len(program)-1, 0)], instructions...)
	}
	for _, group := range policy.Syscalls {
		for _, call := range group.NamesWithCondtions {
			add(seccomp.SyscallGroup{Action: group.Action, NamesWithCondtions: []seccomp.NameWithConditions{call}})
		}
		if len(group.Names) > 0 {
			add(seccomp.SyscallGroup{Action: group.Action, Names: group.Names})
		}
	}
	return program, err
}

// filterPolicy is what is allowed without the host, and with files first what is handed over to it.
func filterPolicy(withFiles bool) (seccomp.Policy, error) {
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
	groups := []seccomp.SyscallGroup{
		{Action: seccomp.ActionAllow, Names: names},
		{Action: seccomp.ActionAllow, NamesWithCondtions: conditional()},
	}
	if withFiles {
		rules, err := files.Rules()
		if err != nil {
			return seccomp.Policy{}, err
		}
		groups = append([]seccomp.SyscallGroup{rules}, groups...)
	}
	return seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: groups}, nil
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
