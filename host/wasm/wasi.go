package wasm

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"golang.org/x/sys/unix"
)

// Numbers of WASI preview 1 for errors.
const (
	wasiAgain         = 6
	wasiBadDescriptor = 8
	wasiFault         = 21
	wasiInvalid       = 28
	wasiIO            = 29
	wasiUnsupported   = 58
)

// wasiErrors are WASI's numbers for the kernel's errors that wazero has no name for: it makes them all wasiIO.
var wasiErrors = map[unix.Errno]uint64{
	unix.EBUSY: 10, unix.EFBIG: 22, unix.EMFILE: 33, unix.EMLINK: 34, unix.ENFILE: 41, unix.ENOSPC: 51, unix.ESPIPE: 70,
	unix.ETXTBSY: 74, unix.EXDEV: 75,
}

// maxListing bounds the buffer of one fd_readdir, in bytes: by its size, wazero reads ahead into the host's memory.
const maxListing = 16 << 10

// offerWASI offers wazero's WASI preview 1, with what a sandbox's storage and connections need beyond it.
func offerWASI(ctx context.Context, r wazero.Runtime) error {
	original, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		return fmt.Errorf("compiling WASI: %w", err)
	}
	defer original.Close(ctx)
	host := r.NewHostModuleBuilder(wasiModule)
	for name, f := range original.ExportedFunctions() {
		do, ok := f.GoFunction().(api.GoModuleFunction)
		if !ok {
			return fmt.Errorf("WASI's %s is no function of Go", name)
		}
		if strings.HasPrefix(name, "fd_") || strings.HasPrefix(name, "path_") {
			do = withFiles(name, do)
		}
		switch socket, ok := socketFunctions[name]; {
		case ok:
			do = withConnections(socket, do)
		case name == "fd_renumber":
			do = renumber(do)
		case name == "poll_oneoff":
			do = withSockets(do)
		}
		host.NewFunctionBuilder().WithGoModuleFunction(do, f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	if _, err := host.Instantiate(ctx); err != nil {
		return fmt.Errorf("offering WASI: %w", err)
	}
	return nil
}

// withFiles gives the guest the number of an error that wazero has no name for.
func withFiles(name string, original api.GoModuleFunction) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		s, ok := ctx.Value(sandboxKey{}).(*sandbox)
		if !ok {
			original.Call(ctx, mod, stack)
			return
		}
		if name == "fd_readdir" && uint32(stack[2]) > maxListing {
			stack[0] = wasiInvalid
			return
		}
		s.fileError = 0
		original.Call(ctx, mod, stack)
		if uint32(stack[0]) == wasiIO {
			if number, known := wasiErrors[s.fileError]; known {
				stack[0] = number
			}
		}
	})
}
