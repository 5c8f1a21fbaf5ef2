package native

import (
	"encoding/binary"
	"slices"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"countersign/host/native/files"
)

// verdicts returns what the filter says of a system call. It runs the program that the kernel would.
func verdicts(t *testing.T, withFiles bool) func(architecture, number uint32, arguments ...uint64) seccomp.Action {
	t.Helper()
	policy, err := filterPolicy(withFiles)
	if err != nil {
		t.Fatal(err)
	}
	program, err := assemble(policy)
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return func(architecture, number uint32, arguments ...uint64) seccomp.Action {
		t.Helper()
		words := []uint32{number, architecture, 0, 0} // struct seccomp_data of a little-endian machine
		for _, a := range append(arguments, make([]uint64, 6-len(arguments))...) {
			words = append(words, uint32(a), uint32(a>>32))
		}
		var data []byte
		for _, w := range words {
			data = binary.BigEndian.AppendUint32(data, w) // as the machine of package bpf loads it
		}
		verdict, err := vm.Run(data)
		if err != nil {
			t.Fatal(err)
		}
		return seccomp.Action(uint32(verdict) & 0xffff0000)
	}
}

// handedOver are the system calls that the host executes whatever their arguments, and those that it does for descriptors of files.
// This list is written once more on purpose: a call that is added to the filter has to be thought about twice.
var (
	handedOver   = []string{"openat", "newfstatat", "mkdirat", "unlinkat", "renameat", "renameat2", "linkat", "truncate", "utimensat"}
	onDescriptor = []string{"close", "read", "pread64", "write", "pwrite64", "lseek", "fstat", "ftruncate", "fsync", "fdatasync", "getdents64"}
)

// TestFilterOfFiles asks the filter for each system call, with each kind of descriptor: what is on files goes to the host and
// never to the kernel, and nothing else is permitted that is not permitted without files.
func TestFilterOfFiles(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	without, with := verdicts(t, false), verdicts(t, true)
	own := []uint64{1 << 10, files.Base - 1}
	for fd := range uint64(64) { // which are numbers of system calls as well
		own = append(own, fd)
	}
	ofFiles := []uint64{files.Base, files.Base + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<40 | 3, 1<<40 | files.Base, 1<<64 - 1}
	for number := range uint32(512) {
		called := info.SyscallNumbers[int(number)]
		for _, fd := range append(own, ofFiles...) {
			want := without(uint32(info.ID), number, fd)
			if slices.Contains(handedOver, called) || slices.Contains(onDescriptor, called) && fd >= files.Base {
				want = seccomp.ActionUserNotify
			}
			if got := with(uint32(info.ID), number, fd); got != want {
				t.Errorf("%s (%d) on %#x: %#x, want %#x", called, number, fd, uint32(got), uint32(want))
			}
		}
	}
}

// TestFilterOfOtherABIs: the numbers of other ABIs mean other system calls. None of them is executed by anybody.
func TestFilterOfOtherABIs(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	const x32 = 0x40000000
	for _, withFiles := range []bool{false, true} {
		verdict := verdicts(t, withFiles)
		for number := range uint32(512) {
			for _, fd := range []uint64{3, executableFD, files.Base, unix.CLONE_THREAD} {
				for _, foreign := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM, 0} {
					if foreign == uint32(info.ID) {
						continue
					}
					if got := verdict(foreign, number, fd, 0, 0, 0, unix.AT_EMPTY_PATH); got != seccomp.ActionErrno {
						t.Fatalf("number %d of architecture %#x: %#x", number, foreign, uint32(got))
					}
				}
				if got := verdict(uint32(info.ID), number|x32, fd, 0, 0, 0, unix.AT_EMPTY_PATH); got != seccomp.ActionErrno {
					t.Fatalf("number %d of x32: %#x", number, uint32(got))
				}
			}
		}
	}
}

// TestFilterOfDescriptors: a function with storage uses descriptors that it has, the standard streams among them, as one without.
func TestFilterOfDescriptors(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	for _, withFiles := range []bool{false, true} {
		verdict := verdicts(t, withFiles)
		for fd := range uint64(64) {
			for _, number := range []uint32{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_FSTAT} {
				if got := verdict(uint32(info.ID), number, fd); got != seccomp.ActionAllow {
					t.Errorf("system call %d on descriptor %d: %#x", number, fd, uint32(got))
				}
			}
			for _, number := range []uint32{unix.SYS_LSEEK, unix.SYS_PREAD64, unix.SYS_FTRUNCATE, unix.SYS_FSYNC, unix.SYS_GETDENTS64} {
				if got := verdict(uint32(info.ID), number, fd); got != seccomp.ActionErrno {
					t.Errorf("system call %d on descriptor %d: %#x", number, fd, uint32(got))
				}
			}
		}
	}
}

// TestFilterOfConditions: arguments that are numbers of other system calls make no difference.
func TestFilterOfConditions(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	for _, withFiles := range []bool{false, true} {
		verdict := verdicts(t, withFiles)
		for n := range uint64(512) {
			if n != executableFD {
				if got := verdict(uint32(info.ID), unix.SYS_EXECVEAT, n, 0, 0, 0, unix.AT_EMPTY_PATH); got != seccomp.ActionErrno {
					t.Fatalf("executing descriptor %d: %#x", n, uint32(got))
				}
			}
			if got := verdict(uint32(info.ID), unix.SYS_EXECVEAT, executableFD, 0, 0, 0, n&^unix.AT_EMPTY_PATH); got != seccomp.ActionErrno {
				t.Fatalf("executing a path with flags %#x: %#x", n, uint32(got))
			}
			if got := verdict(uint32(info.ID), unix.SYS_CLONE, n); got != seccomp.ActionErrno {
				t.Fatalf("a process with the flags %#x: %#x", n, uint32(got))
			}
			for _, number := range []uint32{unix.SYS_MMAP, unix.SYS_MPROTECT} {
				if got := verdict(uint32(info.ID), number, 0, 0, n|unix.PROT_EXEC); got != seccomp.ActionErrno {
					t.Fatalf("system call %d with protection %#x: %#x", number, n|unix.PROT_EXEC, uint32(got))
				}
			}
		}
	}
}
