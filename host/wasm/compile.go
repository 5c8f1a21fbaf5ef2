package wasm

import (
	"context"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

const (
	// CompileCommand is the first argument with which the host's executable is run to compile a module.
	CompileCommand = "wasm-compile"
	// compileMark is in the environment of such a process alone. Without it, an executable that does not know the command
	// would start itself for ever.
	compileMark = "COUNTERSIGN_WASM_COMPILE"
	// compileNice is how much other processes come before those that compile.
	compileNice = 10
	// exitRefused is the status of a process that found a module which can't be compiled; it wrote why to standard error.
	exitRefused = 3
)

// Compile is the main function of a process that compiles a module: it reads it from module and writes the result where
// its arguments say, as wazero keeps compiled code. It returns the exit status.
func Compile(args []string, module io.Reader) int {
	if err := compile(args, module); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	return 0
}

func compile(args []string, from io.Reader) error {
	if len(args) != 3 {
		return fmt.Errorf("%s takes a directory, bytes of memory and seconds of processor time", CompileCommand)
	}
	memory, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("bytes of memory: %w", err)
	}
	seconds, err := strconv.ParseUint(args[2], 10, 32)
	if err != nil {
		return fmt.Errorf("seconds of processor time: %w", err)
	}
	if err := restrict(memory, seconds); err != nil {
		return err
	}
	module, err := io.ReadAll(io.LimitReader(from, maxModule+maxCode))
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(args[0])
	if err != nil {
		return fmt.Errorf("opening the directory for the result: %w", err)
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), goruntime.GOMAXPROCS(0))
	_, err = wazero.NewRuntimeWithConfig(ctx, compiledConfig().WithCompilationCache(cache)).CompileModule(ctx, module)
	return err
}

// compiledConfig is how modules are compiled, and read again.
func compiledConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
}

// restrict bounds what this process can take. A memory of 0 bytes is no bound.
func restrict(memory int64, seconds uint64) error {
	if err := unix.Setpriority(unix.PRIO_PGRP, 0, compileNice); err != nil {
		return fmt.Errorf("giving way to others: %w", err)
	}
	bounds := map[int]uint64{unix.RLIMIT_CPU: seconds, unix.RLIMIT_CORE: 0}
	if memory > 0 {
		bounds[unix.RLIMIT_DATA] = uint64(memory)
		debug.SetMemoryLimit(memory / 4 * 3) // collect garbage before the bound is met
	}
	for resource, most := range bounds {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bounding the resource %d to %d: %w", resource, most, err)
		}
	}
	return nil
}
