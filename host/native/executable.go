package native

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ExecutableError says why an executable can't be run. It will not change by trying again.
type ExecutableError struct{ Detail string }

// Error implements error.
func (e *ExecutableError) Error() string { return "native executable: " + e.Detail }

// Unrunnable implements runtime.Unrunnable.
func (e *ExecutableError) Unrunnable() {}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkExecutable refuses what can't run on an empty file system or on this machine.
func checkExecutable(image []byte) error {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return &ExecutableError{fmt.Sprintf("it is not an ELF file: %v", err)}
	}
	if file.Type != elf.ET_EXEC && file.Type != elf.ET_DYN {
		return &ExecutableError{fmt.Sprintf("it is of type %v", file.Type)}
	}
	if want := machines[runtime.GOARCH]; file.Machine != want {
		return &ExecutableError{fmt.Sprintf("it is for %v, and this machine is %s", file.Machine, runtime.GOARCH)}
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return &ExecutableError{"it is linked dynamically: build it with CGO_ENABLED=0"}
		}
	}
	return nil
}

// memoryFile makes a sealed file in memory: what was verified is what is executed, whatever happens on disk.
func memoryFile(name string, image []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 there is no MFD_EXEC, and all are executable
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(image); err != nil {
		return nil, errors.Join(fmt.Errorf("filling a file in memory: %w", err), file.Close())
	}
	if err := file.Chmod(0o555); err != nil {
		return nil, errors.Join(fmt.Errorf("making a file in memory executable: %w", err), file.Close())
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("sealing a file in memory: %w", err), file.Close())
	}
	return file, nil
}
