package servers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"countersign/terminal"
)

// BuildError says that a server could not be built, and where the log of the attempt is.
type BuildError struct {
	Name string
	Log  string // path, or "" when it failed before there was one
	Err  error
}

// Error implements error.
func (e *BuildError) Error() string {
	text := fmt.Sprintf("build %s: %v", e.Name, e.Err)
	if e.Log != "" {
		text += "\n  the log is " + e.Log
	}
	return text
}

// Unwrap returns the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// Ensure returns the server of r, building it if it has to. Two processes that need the same server build it once.
func Ensure(ctx context.Context, r Recipe, log *terminal.Log) (Binary, error) {
	found, err := Find(ctx, r)
	skipped, absent := isNotFound(err)
	if !absent {
		return found, err
	}
	if skipped != "" {
		log.Printf("%-9s not from PATH: %s", r.Name, skipped)
	}
	path, err := r.cached()
	if err != nil {
		return Binary{}, err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		return Binary{}, fmt.Errorf("cache directory for %s: %w", r.Name, err)
	}
	unlock, err := r.lock(ctx, filepath.Dir(path)+".lock", log)
	if err != nil {
		return Binary{}, err
	}
	defer unlock()
	if found, err = Find(ctx, r); err == nil {
		return found, nil
	}
	step := log.Start(r.Name, fmt.Sprintf("building %s (%s, once)", r.Version, estimate(r.CPUSeconds)))
	if err := r.build(ctx, path, step); err != nil {
		step.Fail(err)
		return Binary{}, err
	}
	step.Done("built %s", r.Version)
	return Binary{Name: r.Name, Version: r.Version, Path: path, Built: true}, nil
}

// EnsureAll returns every server by name. Builds run one after the other: each one uses the whole machine.
func EnsureAll(ctx context.Context, log *terminal.Log) (map[string]Binary, error) {
	all := make(map[string]Binary)
	for _, r := range All() {
		b, err := Ensure(ctx, r, log)
		if err != nil {
			return nil, err
		}
		all[r.Name] = b
	}
	return all, nil
}

// cached is the path of the built server, whether or not it exists.
func (r Recipe) cached() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("user cache directory, where built servers are kept: %w", err)
	}
	dir := fmt.Sprintf("%s-%s-%s", r.Name, r.Version, r.hash())
	return filepath.Join(cache, "countersign", "servers", dir, r.Name), nil
}

// lock waits for the lock file of a recipe. The lock goes away with the process that holds it.
func (r Recipe) lock(ctx context.Context, path string, log *terminal.Log) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock for building %s: %w", r.Name, err)
	}
	var waiting *terminal.Step
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			waiting.Done("the other build ended")
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s for building %s: %w", path, r.Name, err)
		}
		if waiting == nil {
			waiting = log.Start(r.Name, "waiting: another process is building it")
		}
		select {
		case <-ctx.Done():
			waiting.Fail(ctx.Err())
			f.Close()
			return nil, fmt.Errorf("waiting for another process that builds %s: %w", r.Name, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build makes the server in a directory beside its final one and moves it there when it is complete.
func (r Recipe) build(ctx context.Context, path string, step *terminal.Step) error {
	final := filepath.Dir(path)
	work := final + ".build"
	if err := r.preflight(); err != nil {
		return &BuildError{Name: r.Name, Err: err}
	}
	// Under the lock, so what is there belongs to a build that was killed.
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(filepath.Join(work, "out"), 0o755)); err != nil {
		return &BuildError{Name: r.Name, Err: err}
	}
	logPath := final + ".log"
	log, err := os.Create(logPath)
	if err != nil {
		return &BuildError{Name: r.Name, Err: err}
	}
	defer log.Close()
	if err := r.compile(ctx, work, log, step); err != nil {
		os.RemoveAll(work)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return &BuildError{Name: r.Name, Log: logPath, Err: err}
	}
	err = errors.Join(os.RemoveAll(final), os.Rename(filepath.Join(work, "out"), final), os.RemoveAll(work))
	if err != nil {
		return &BuildError{Name: r.Name, Log: logPath, Err: err}
	}
	os.Remove(logPath)
	return nil
}

// preflight says what the machine lacks before minutes are spent.
func (r Recipe) preflight() error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("PATH has no go command to build it with; install Go, or put %s %s or newer on PATH",
			r.Name, r.Minimum)
	}
	if r.CGO && os.Getenv("CC") == "" {
		if _, err := exec.LookPath("gcc"); err != nil {
			return fmt.Errorf("a C compiler is needed to build it, and PATH has no gcc: "+
				"install one (Debian: apt-get install gcc libc6-dev), or put %s %s or newer on PATH", r.Name, r.Minimum)
		}
	}
	return nil
}

// goNote begins the lines with which go tells what it downloads, as opposed to the packages that it lists.
const goNote = "go: "

// compile writes the build module into work and leaves the binary in work/out.
func (r Recipe) compile(ctx context.Context, work string, log io.Writer, step *terminal.Step) error {
	step.Detail("%s: fetching", r.Version)
	root, err := r.download(ctx, work, log)
	if err != nil {
		return err
	}
	rootMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	rootSum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	mod, sum, err := r.buildModule(rootMod, rootSum)
	if err != nil {
		return err
	}
	sumPath := filepath.Join(work, "go.sum")
	err = errors.Join(os.WriteFile(filepath.Join(work, "go.mod"), mod, 0o644), os.WriteFile(sumPath, sum, 0o644))
	if err != nil {
		return err
	}
	packages := 0
	list := append([]string{"list", "-deps"}, r.listFlags()...)
	err = r.goCommand(ctx, work, log, append(list, r.Package), func(line string) {
		if !strings.HasPrefix(line, goNote) {
			packages++
		}
	})
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	// -mod=mod would quietly take what the pins lack.
	after, err := os.ReadFile(sumPath)
	if err != nil {
		return err
	}
	if extra := unpinned(sum, after); len(extra) > 0 {
		return fmt.Errorf("the build needs modules that nothing pins, such as %q", extra[0])
	}
	compiled := 0
	args := append([]string{"build", "-v", "-o", filepath.Join("out", r.Name)}, r.flags()...)
	err = r.goCommand(ctx, work, log, append(args, r.Package), func(line string) {
		if !strings.HasPrefix(line, goNote) {
			compiled++
			step.Detail("%s: compiled %d packages of at most %d", r.Version, compiled, packages)
		}
	})
	if err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// listFlags are the flags that go list shares with go build.
func (r Recipe) listFlags() []string {
	flags := []string{"-mod=mod"}
	if r.Tags != "" {
		flags = append(flags, "-tags="+r.Tags)
	}
	return flags
}

// download fetches the root module into Go's module cache, checks it against the recipe and returns its directory.
func (r Recipe) download(ctx context.Context, work string, log io.Writer) (string, error) {
	var out bytes.Buffer
	args := []string{"mod", "download", "-json", r.Module + "@" + r.Version}
	runErr := r.goCommand(ctx, work, io.MultiWriter(log, &out), args, nil)
	var module struct{ Dir, Sum, GoModSum, Error string }
	if err := json.Unmarshal(jsonObject(out.Bytes()), &module); err != nil || module.Error != "" {
		return "", fmt.Errorf("fetch %s@%s: %w", r.Module, r.Version, errors.Join(runErr, errors.New(module.Error)))
	}
	if module.Sum != r.Sum || module.GoModSum != r.ModSum {
		return "", fmt.Errorf("%s@%s has checksums %s and %s, and the recipe wants %s and %s: the module was changed",
			r.Module, r.Version, module.Sum, module.GoModSum, r.Sum, r.ModSum)
	}
	return module.Dir, nil
}

// jsonObject cuts what go prints besides the object, such as which toolchain it fetches.
func jsonObject(out []byte) []byte {
	from, to := bytes.IndexByte(out, '{'), bytes.LastIndexByte(out, '}')
	if from < 0 || to < from {
		return nil
	}
	return out[from : to+1]
}

// goCommand runs go in work with an environment that nothing of the user's settings changes, and hands each line of
// output to line.
func (r Recipe) goCommand(ctx context.Context, work string, log io.Writer, args []string, line func(string)) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = work
	cmd.Env = r.environ(os.Environ())
	// A group of its own, so that compilers end with it and a Ctrl-C on the terminal is ours to pass on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	pr, pw := io.Pipe()
	cmd.Stdout, cmd.Stderr = pw, pw
	fmt.Fprintf(log, "$ go %s\n", strings.Join(args, " "))
	done := make(chan string, 1)
	go func() { done <- tee(pr, log, line) }()
	err := cmd.Run()
	pw.Close()
	last := <-done
	if err != nil && last != "" {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// tee copies lines to log and to line, and returns the last one, which usually names the error.
func tee(r io.Reader, log io.Writer, line func(string)) (last string) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		last = scan.Text()
		fmt.Fprintln(log, last)
		if line != nil {
			line(last)
		}
	}
	io.Copy(io.Discard, r)
	return last
}

// environ is the environment of the go command: the caller's, without what would change the binary.
func (r Recipe) environ(from []string) []string {
	var env []string
	for _, kv := range from {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "GOFLAGS", "GOWORK", "GOOS", "GOARCH", "GOEXPERIMENT", "GO111MODULE", "CGO_ENABLED", "GOAMD64", "GOARM64",
			"CGO_CFLAGS", "CGO_LDFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS":
		default:
			env = append(env, kv)
		}
	}
	cgo := "0"
	if r.CGO {
		cgo = "1"
	}
	return append(env, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED="+cgo)
}

// estimate says how long a build takes on this machine.
func estimate(cpuSeconds int) string {
	minutes := math.Ceil(float64(cpuSeconds) / float64(runtime.NumCPU()) / 60)
	if minutes == 1 {
		return "about a minute"
	}
	return fmt.Sprintf("about %.0f minutes", minutes)
}
