package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"countersign/host/runtime/limits"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// UnsupportedError says which part of the sandbox the kernel or the machine's configuration can't enforce. The function
// was not started.
type UnsupportedError struct {
	Feature string // such as "namespaces", "cgroups", "Landlock", "seccomp"
	Detail  string
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("native functions can't run here: %s: %s; use runtime = \"wasm\", or a machine that can enforce it",
		e.Feature, e.Detail)
}

// Unrunnable implements runtime.Unrunnable.
func (e *UnsupportedError) Unrunnable() {}

// ShimCommand is the first argument with which the host's executable is run as the shim.
const ShimCommand = "native-shim"

// File descriptors of the shim. The function inherits the socket and its output alone.
const (
	socketFD     = 3
	executableFD = 4
	statusFD     = 5
	shimFD       = 6
	gateFD       = 7
)

// shimConfig is the shim's one argument, as JSON.
type shimConfig struct {
	Function string `json:"function"`
	Memory   int64  `json:"memory"`
	Files    bool   `json:"files"` // it has storage: the host executes its system calls on files
}

func (c shimConfig) limits() limits.Limits { return limits.Limits{Memory: c.Memory} }

// Shim is the main function of the shim: it enters the sandbox and becomes the function. It returns only an exit
// status, when that fails; the reason has been sent to the host.
func Shim(args []string) int {
	runtime.LockOSThread()                   // what follows is done to one thread, and the same thread executes the function
	status := os.NewFile(statusFD, "status") // a socket
	err := enter(args)
	if status != nil {
		// If this can't be written, the host reads an early end, and says so.
		_ = json.NewEncoder(status).Encode(err)
	}
	return 1
}

// layer is one step into the sandbox. Each is to hold by itself what it is for, also if another one has a hole.
type layer struct {
	feature string
	do      func() error
}

// sandbox is how the shim enters the sandbox, in order. Tests put on one layer at a time.
var sandbox = func(config shimConfig) []layer {
	return []layer{
		{"file descriptors", closeOnExec},
		{"mount namespace", emptyRoot},
		{"limits", func() error { return limit(config.limits()) }},
		{"privileges", dropPrivileges},
		{"Landlock", restrictLandlock},
		{"seccomp", func() error { return installFilter(config.Files) }},
	}
}

// enter does not return unless it fails.
func enter(args []string) *UnsupportedError {
	var config shimConfig
	if len(args) != 1 {
		return &UnsupportedError{"shim", "it is started by the host, with one argument"}
	}
	if err := json.Unmarshal([]byte(args[0]), &config); err != nil {
		return &UnsupportedError{"shim", fmt.Sprintf("decoding its argument: %v", err)}
	}
	if err := awaitGroup(); err != nil {
		return &UnsupportedError{"cgroups", err.Error()}
	}
	for _, step := range sandbox(config) {
		if err := step.do(); err != nil {
			return &UnsupportedError{step.feature, err.Error()}
		}
	}
	err := execute(config)
	return &UnsupportedError{"executable", fmt.Sprintf("it can't be executed: %v", err)}
}

// awaitGroup waits until the host has put this process into its cgroup.
func awaitGroup() error {
	gate := os.NewFile(gateFD, "gate")
	if gate == nil {
		return errors.New("there is nothing to wait for")
	}
	return await(gate)
}

func await(gate *os.File) error {
	if _, err := io.ReadFull(gate, make([]byte, 1)); err != nil {
		return fmt.Errorf("waiting for the host: %w", err)
	}
	return gate.Close()
}

// closeOnExec leaves the function its socket and its output.
func closeOnExec() error {
	return unix.CloseRange(socketFD+1, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}

// emptyRoot makes an empty read-only file system the root.
func emptyRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555"); err != nil {
		return fmt.Errorf("mounting an empty file system: %w", err)
	}
	if err := unix.Chdir("/proc"); err != nil {
		return fmt.Errorf("entering the empty file system: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("making it the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's file systems: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("entering the new root: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""); err != nil {
		return fmt.Errorf("making the root read-only: %w", err)
	}
	return nil
}

func limit(l limits.Limits) error {
	resources := map[int]uint64{
		unix.RLIMIT_DATA:     uint64(l.Mapped()),
		unix.RLIMIT_STACK:    8 << 20,
		unix.RLIMIT_CORE:     0,
		unix.RLIMIT_FSIZE:    0,
		unix.RLIMIT_NOFILE:   64,
		unix.RLIMIT_MEMLOCK:  0,
		unix.RLIMIT_MSGQUEUE: 0,
	}
	for resource, n := range resources {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("setting limit %d to %d: %w", resource, n, err)
		}
	}
	return nil
}

// restrictLandlock takes away every access to files, TCP, abstract sockets and signals of others. It does so for this
// thread, which becomes the function; the library's function for all threads needs /proc, which is gone.
func restrictLandlock() error {
	everything := landlock.V6
	ruleset, err := ll.LandlockCreateRuleset(&ll.RulesetAttr{
		HandledAccessFS:  uint64(everything.HandledAccessFS),
		HandledAccessNet: uint64(everything.HandledAccessNet),
		Scoped:           uint64(everything.Scoped),
	}, 0)
	if err != nil {
		return fmt.Errorf("version 6 (Linux 6.12) is needed: %w", err)
	}
	if err := ll.LandlockRestrictSelf(ruleset, 0); err != nil {
		return fmt.Errorf("restricting the thread: %w", err)
	}
	return unix.Close(ruleset)
}

// dropPrivileges makes executing the function give no capability, although it runs as the root of its own namespace.
func dropPrivileges() error {
	const locked = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<5 | 1<<6 | 1<<7 // NOROOT, NO_SETUID_FIXUP, no KEEP_CAPS, no ambient
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, locked, 0, 0, 0); err != nil {
		return fmt.Errorf("setting secure bits: %w", err)
	}
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // that was the last one
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}

// environment of the function. GOMEMLIMIT makes Go's garbage collector work before the limit is reached.
func environment(l limits.Limits) []string {
	return []string{fmt.Sprintf("COUNTERSIGN_SOCKET_FD=%d", socketFD), fmt.Sprintf("GOMEMLIMIT=%d", l.Collect())}
}

// execute becomes the function. It names the executable by its descriptor: there are no files any more.
func execute(config shimConfig) error {
	path, err := unix.BytePtrFromString("")
	if err != nil {
		return err
	}
	argv, err := pointers([]string{config.Function})
	if err != nil {
		return err
	}
	envp, err := pointers(environment(config.limits()))
	if err != nil {
		return err
	}
	return execveat(executableFD, path, argv, envp)
}

// maxStatus is how long what the shim says may be.
const maxStatus = 64 << 10

// readStatus reads what the shim says until it has become the function, or failed. It returns the descriptor that it sent,
// or nil.
func readStatus(status *net.UnixConn) (sent *os.File, err error) {
	var text []byte
	part, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	for len(text) <= maxStatus {
		n, with, _, _, err := status.ReadMsgUnix(part, rights)
		if with > 0 && sent == nil {
			sent = received(rights[:with])
		}
		if n == 0 && (err == nil || errors.Is(err, io.EOF)) {
			break
		}
		if err != nil {
			return sent, fmt.Errorf("waiting for the sandbox: %w", err)
		}
		text = append(text, part[:n]...)
	}
	return sent, shimFailure(text)
}

// received returns the descriptor that came with a message.
func received(rights []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil
	}
	return os.NewFile(uintptr(fds[0]), "system calls")
}

// shimFailure returns what kept the shim from becoming the function, or nil if it said nothing.
func shimFailure(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil
	}
	failure := new(UnsupportedError)
	if err := json.Unmarshal(text, failure); err != nil {
		return fmt.Errorf("the sandbox failed: %q", text)
	}
	return failure
}
