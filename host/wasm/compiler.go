package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"countersign/host/runtime/limits"
)

// A module is compiled by a process of its own, which ends with what it has used up: what the compiler does with a hostile
// module can neither hold up the host nor outlive the start that asked for it. The host only reads what came out.

const (
	// compileSlots is how many modules are compiled at the same time.
	compileSlots = 4
	// compileMemory and compileCPU are what compiling a small module may take, in bytes and of time on processors, and
	// compileMemoryPer and compileCPUPer what each MiB of a larger one adds. Go's own compiler, a module of 48 MB, took
	// 1.2 GiB and 40 seconds.
	compileMemory    = 512 << 20
	compileMemoryPer = 40 << 20
	compileCPU       = 30 * time.Second
	compileCPUPer    = 4 * time.Second
	// codeSize is how many bytes the code of a small module may have, and codePer how many each byte of a larger one adds. The
	// host keeps it in memory, once for all allocations of the same module. What Go's compiler makes becomes 4 times as long.
	codeSize = 16 << 20
	codePer  = 8
	// scratchPrefix begins the names of the directories that compiling processes write to, in the cache directory.
	scratchPrefix = "compile-"
	// scratchAge is how old a directory is that a host left behind when it was killed.
	scratchAge = time.Hour
	// indexDir is where the cache directory tells which file was made of which module.
	indexDir = "modules"
)

// executable is that of the process which compiles; it calls Compile when its first argument is CompileCommand. Only tests
// change it.
var executable = "/proc/self/exe"

// compiler fills the directory of compiled code.
type compiler struct {
	dir        string
	executable string
	memory     int64 // instead of compileMemory, for tests; 0: as much as there is
	cpu        time.Duration
	slots      chan struct{}

	mu   sync.Mutex
	busy map[[sha256.Size]byte]chan struct{} // modules that are being compiled; closed when that ends
}

// newCompiler prepares a directory, which exists.
func newCompiler(dir string) (*compiler, error) {
	if os.Getenv(compileMark) != "" {
		return nil, fmt.Errorf("this process is to compile one module (%s is set): its main function does not call wasm.Compile",
			compileMark)
	}
	if err := os.MkdirAll(filepath.Join(dir, indexDir), 0o700); err != nil {
		return nil, fmt.Errorf("making the index of the compilation cache: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("looking for what an earlier host left in the compilation cache: %w", err)
	}
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > scratchAge {
			// It only takes room, and the next host tries again.
			_ = os.RemoveAll(path)
		}
	}
	return &compiler{dir: dir, executable: executable, memory: compileMemory, cpu: compileCPU,
		slots: make(chan struct{}, compileSlots), busy: map[[sha256.Size]byte]chan struct{}{}}, nil
}

// ensure sees to it that the code of a module is in the directory. anew compiles it in any case.
func (c *compiler) ensure(ctx context.Context, module []byte, anew bool) error {
	sum := sha256.Sum256(module)
	for {
		c.mu.Lock()
		other, compiling := c.busy[sum]
		if !compiling {
			c.busy[sum] = make(chan struct{})
		}
		c.mu.Unlock()
		if !compiling {
			break
		}
		select {
		case <-other:
			anew = false
		case <-ctx.Done():
			return fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
		}
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.busy[sum])
		delete(c.busy, sum)
	}()
	if !anew && c.known(sum) {
		return nil
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for other modules to be compiled: %w", ctx.Err())
	}
	return c.compile(ctx, sum, module)
}

// index names the file that tells where the code of a module is.
func (c *compiler) index(sum [sha256.Size]byte) string {
	return filepath.Join(c.dir, indexDir, hex.EncodeToString(sum[:]))
}

// known tells whether the code of a module is there.
func (c *compiler) known(sum [sha256.Size]byte) bool {
	name, err := os.ReadFile(c.index(sum))
	if err != nil || !filepath.IsLocal(string(name)) {
		return false
	}
	info, err := os.Lstat(filepath.Join(c.dir, string(name)))
	return err == nil && info.Mode().IsRegular()
}

// compile runs the process, in a directory of its own, and takes over the one file that it is to make.
func (c *compiler) compile(ctx context.Context, sum [sha256.Size]byte, module []byte) error {
	scratch, err := os.MkdirTemp(c.dir, scratchPrefix+"*")
	if err != nil {
		return fmt.Errorf("making a directory to compile in: %w", err)
	}
	// What can't be removed now is removed by a later host.
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := c.run(ctx, scratch, module); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(scratch, "*", "*"))
	if err != nil || len(made) != 1 {
		return fmt.Errorf("compiling the module made %d files instead of one (%v)", len(made), err)
	}
	switch info, err := os.Lstat(made[0]); {
	case err != nil:
		return fmt.Errorf("looking at the compiled module: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("compiling the module made something that is no file (%v)", info.Mode())
	case info.Size() > codeSize+codePer*int64(len(module)):
		return tooMuch("its %d bytes become %d when they are compiled", len(module), info.Size())
	}
	name, err := filepath.Rel(scratch, made[0])
	if err != nil {
		return fmt.Errorf("naming the compiled module: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(c.dir, filepath.Dir(name)), 0o700); err != nil {
		return fmt.Errorf("keeping the compiled module: %w", err)
	}
	if err := os.Rename(made[0], filepath.Join(c.dir, name)); err != nil {
		return fmt.Errorf("keeping the compiled module: %w", err)
	}
	// A name that is cut off, if the machine stops now, is one of no file: the module is compiled again.
	if err := os.WriteFile(c.index(sum), []byte(name), 0o600); err != nil {
		return fmt.Errorf("keeping where the compiled module is: %w", err)
	}
	return nil
}

// run runs the process until it ends or ctx does, which kills it.
func (c *compiler) run(ctx context.Context, scratch string, module []byte) error {
	cmd := exec.CommandContext(ctx, c.executable)
	memory, cpu := c.bounds(len(module))
	cmd.Args = []string{CompileCommand, CompileCommand, scratch, strconv.FormatInt(memory, 10),
		strconv.FormatInt(int64(cpu/time.Second), 10)}
	cmd.Env = []string{compileMark + "=1"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(module)
	said := beginning{most: 2 * limits.Message}
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	ended := make(chan error)
	go func() {
		goruntime.LockOSThread() // the kernel kills the process when the thread that started it ends
		defer goruntime.UnlockOSThread()
		ended <- cmd.Run()
	}()
	err := <-ended
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("compiling the module was stopped: %w", ctx.Err())
	}
	return compileFailure(cmd.ProcessState, said.String(), err, memory, cpu)
}

// bounds is what compiling a module of so many bytes may take. A memory of 0 is no bound.
func (c *compiler) bounds(size int) (memory int64, cpu time.Duration) {
	if memory = c.memory; memory > 0 {
		memory += int64(size>>20) * compileMemoryPer
	}
	return memory, c.cpu + time.Duration(size>>20)*compileCPUPer
}

// countAhead is how much more than it used a process may have, by the count that the kernel bounds: that is made in ticks, each of
// which counts whole.
const countAhead = 250 * time.Millisecond

// compileFailure tells what a process that compiles died of.
func compileFailure(state *os.ProcessState, said string, err error, memory int64, cpu time.Duration) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("starting a process that compiles the module: %w", err)
	}
	used := state.UserTime() + state.SystemTime()
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case state.ExitCode() == exitRefused:
		return moduleErrorf(ReasonMalformed, "it does not compile: %s", limits.Clip(said))
	case strings.Contains(said, "out of memory"), strings.Contains(said, "cannot allocate memory"):
		return tooMuch("compiling it takes more than %d bytes of memory", memory)
	case memory > 0 && strings.Contains(said, "SIGSEGV"): // where the runtime does not expect to get none
		return tooMuch("the process that compiles it broke with its %d bytes of memory", memory)
	case strings.Contains(said, "stack exceeds"):
		return tooMuch("its code is nested too deeply to be compiled")
	case status.Signaled() && used >= cpu/10*9-countAhead:
		return tooMuch("compiling it takes more than %v of processor time", cpu)
	}
	return fmt.Errorf("compiling the module failed after %v: %w: %s", used.Round(time.Millisecond), err, limits.Clip(said))
}

// beginning keeps the beginning of what is written to it.
type beginning struct {
	kept bytes.Buffer // not embedded: io.Copy would take its ReadFrom, which has no limit
	most int
}

// String returns what was kept.
func (t *beginning) String() string { return t.kept.String() }

// Write implements io.Writer.
func (t *beginning) Write(p []byte) (int, error) {
	if room := t.most - t.kept.Len(); room > 0 {
		t.kept.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
