package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Engine has modules compiled, and keeps the results on disk.
type Engine struct {
	cache    wazero.CompilationCache
	compiler *compiler
}

// Options of a loaded function.
type Options struct {
	runtime.Options
	Prewarm int // sandboxes that are kept ready; at least 1
}

// NewEngine returns an engine that keeps compiled code in cacheDir, which it makes if need be. What lies there is run
// as it is: the directory must belong to the user of this process and nobody else may write to it. The executable of this
// process must call Compile when its first argument is CompileCommand.
func NewEngine(cacheDir string) (*Engine, error) {
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the compilation cache: %w", err)
	}
	if err := checkPrivate(cacheDir); err != nil {
		return nil, err
	}
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, fmt.Errorf("opening the compilation cache %s: %w", cacheDir, err)
	}
	c, err := newCompiler(cacheDir)
	if err != nil {
		return nil, err
	}
	return &Engine{cache, c}, nil
}

// Close frees the compiled code. Every Instance must be closed before.
func (e *Engine) Close(ctx context.Context) error { return e.cache.Close(ctx) }

// Load compiles a module, unless that was done before, and makes its first sandboxes. The end of ctx ends that. A module
// that can't be run is a *ModuleError.
func (e *Engine) Load(ctx context.Context, module []byte, o Options) (*Instance, error) {
	i, err := load(ctx, compiledConfig().WithCompilationCache(e.cache), e.compiler, module, o)
	if err != nil {
		return nil, fmt.Errorf("loading function %q: %w", o.Function, err)
	}
	return i, nil
}

// load loads a module. Without a compiler it is interpreted.
func load(ctx context.Context, config wazero.RuntimeConfig, c *compiler, binary []byte, o Options) (*Instance, error) {
	if o.Memory < pageSize || o.Memory > maxMemory {
		return nil, fmt.Errorf("a function's memory is between %d and %d bytes, not %d", pageSize, int64(maxMemory), o.Memory)
	}
	m, err := parseModule(binary)
	if err != nil {
		return nil, err
	}
	safe, err := m.instrument()
	if err != nil {
		return nil, err
	}
	i := newInstance(o)
	i.fixed = m.resident.bytes()
	if c != nil {
		i.stack = stackSize(o.Memory)
		i.fixed += i.stack
	}
	i.runtime = wazero.NewRuntimeWithConfig(ctx, config.WithDebugInfoEnabled(false))
	if err := i.link(ctx, c, safe); err != nil {
		return nil, errors.Join(err, i.shutDown())
	}
	if err := i.pool.fill(ctx, i.prewarm); err != nil {
		return nil, errors.Join(err, i.Close(ctx))
	}
	return i, nil
}

// link links the module with what the host offers, and nothing else.
func (i *Instance) link(ctx context.Context, c *compiler, binary []byte) error {
	if err := offerWASI(ctx, i.runtime); err != nil {
		return err
	}
	host := i.runtime.NewHostModuleBuilder(importModule)
	for name, do := range map[string]api.GoModuleFunc{"call": hostCall, "read_reply": hostReadReply, "network_dial": hostDial,
		"network_listen": hostListen, "network_status": hostStatus} {
		host.NewFunctionBuilder().WithGoModuleFunction(do, valueTypes(hostImports[name].params),
			valueTypes(hostImports[name].results)).Export(name)
	}
	if _, err := host.Instantiate(ctx); err != nil {
		return fmt.Errorf("offering %s: %w", importModule, err)
	}
	var err error
	if i.compiled, err = i.compile(ctx, c, binary); err != nil {
		return err
	}
	offered := i.runtime.Module(wasiModule).ExportedFunctionDefinitions()
	for _, f := range i.compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if _, ok := offered[name]; from == wasiModule && !ok {
			return moduleErrorf(ReasonImport, "WASI preview 1 has no function %q", name)
		}
	}
	for _, memory := range i.compiled.ExportedMemories() {
		i.initial = int64(memory.Min()) * pageSize
	}
	if room := i.memory.Limit() - i.memory.Used(); i.initial+i.fixed > room {
		return moduleErrorf(ReasonMemory, "to start it needs %d bytes of linear memory and %d for its tables, globals and call stack; "+
			"its spec leaves %d for them", i.initial, i.fixed, room)
	}
	return nil
}

// compile has a module compiled by another process and reads the result; or, without a compiler, prepares it for the
// interpreter.
func (i *Instance) compile(ctx context.Context, c *compiler, binary []byte) (wazero.CompiledModule, error) {
	if c == nil {
		compiled, err := i.runtime.CompileModule(ctx, binary)
		if err != nil {
			return nil, moduleErrorf(ReasonMalformed, "it does not compile: %v", err)
		}
		return compiled, nil
	}
	// With a context that has ended wazero reads what was compiled, and compiles nothing itself.
	reading, cancel := context.WithCancel(ctx)
	cancel()
	reading = experimental.WithCompilationWorkers(reading, 2)
	var failure error
	for _, anew := range []bool{false, true} { // the second time, if the file is spoilt or of another processor
		if err := c.ensure(ctx, binary, anew); err != nil {
			return nil, err
		}
		compiled, err := i.runtime.CompileModule(reading, binary)
		if err == nil {
			return compiled, nil
		}
		failure = err
	}
	return nil, fmt.Errorf("reading the compiled module: %w", failure)
}

func valueTypes(types []byte) []api.ValueType { return types }

// Describe returns the interface document of a module, which it runs in a sandbox of its own, for at most
// initializeTime and limits.DescribeTime and with at most limits.DescribeMemory. A module that can't be run is a
// *ModuleError.
func Describe(ctx context.Context, module []byte) ([]byte, error) {
	i, err := load(ctx, wazero.NewRuntimeConfigInterpreter(), nil, module,
		Options{Options: runtime.Options{Function: "module", Limits: limits.Limits{Memory: limits.DescribeMemory}}})
	if err != nil {
		return nil, fmt.Errorf("describing a module: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, limits.DescribeTime)
	defer cancel()
	doc, err := i.describe(limited)
	if err := errors.Join(err, i.Close(context.WithoutCancel(ctx))); err != nil {
		return nil, fmt.Errorf("describing a module: %w", err)
	}
	return doc, nil
}

// checkPrivate refuses a directory that is another user's, or that others can write to.
func checkPrivate(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the compilation cache: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the compilation cache %s is not a directory", dir)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("the compilation cache %s does not belong to the user of this process, and its content is executed: "+
			"remove it, or run chown once you know what is in there", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the compilation cache %s can be written by others (%v): its content is executed, "+
			"so run chmod go-w on it once you know what is in there", dir, info.Mode().Perm())
	}
	return nil
}

// frameLimit is the longest reply frame that is looked at.
func frameLimit(maxReply int64) int64 {
	if maxReply <= 0 {
		return maxMemory
	}
	return maxReply + frame.Overhead
}
