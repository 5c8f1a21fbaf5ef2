//go:build integration

package bazel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// workspace is a Bazel workspace and the server that builds it.
type workspace struct {
	dir        string
	outputBase string // "" for the user's own
}

// own returns the workspace at dir with an output base and a server of its own, both gone when the test ends. Tests that
// use no other can run at the same time: most of what they do, one processor does.
func own(t *testing.T, dir string) workspace {
	t.Helper()
	scratch, err := os.MkdirTemp("", "countersign-bazel-")
	if err != nil {
		t.Fatal(err)
	}
	w := workspace{dir: dir, outputBase: filepath.Join(scratch, "base")}
	t.Cleanup(func() {
		if err := w.remove(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// remove stops the server and removes the output base, with what in it is read-only, and the directory that it is in.
func (w workspace) remove() error {
	out, err := w.run(context.Background(), "clean", "--expunge")
	if err != nil {
		err = fmt.Errorf("stop Bazel: %w\n%s", err, out)
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(w.outputBase)))
}

// shared is a workspace whose server one test after the other uses, each with files of its own: to start one, and to have it
// load its rules, takes longer than most of what they ask of it. A test that depends on how or when its server was started
// has its own.
type shared struct {
	sync.Mutex
	workspace
}

// use fills the workspace with files, and leaves nothing of the test before. Other tests wait until this one ends.
func (s *shared) use(t *testing.T, files map[string]string) workspace {
	t.Helper()
	s.Lock()
	t.Cleanup(s.Unlock)
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "countersign-workspace-")
		if err != nil {
			t.Fatal(err)
		}
		scratch, err := os.MkdirTemp("", "countersign-bazel-")
		if err != nil {
			t.Fatal(err)
		}
		s.workspace = workspace{dir: dir, outputBase: filepath.Join(scratch, "base")}
		afterAll(func() error { return errors.Join(s.remove(), os.RemoveAll(dir)) })
	}
	left, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if entry.Name() == ".cluster" {
			continue // tools/bazel hides it by a mount: without it, it would start the server anew
		}
		if err := os.RemoveAll(filepath.Join(s.dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, s.dir, files)
	return s.workspace
}

// ours returns the workspace of this checkout, with its repositories made. Its output base outlives the tests, and is the same
// for every clone: what one has fetched and built, the next one need not. While another run has it, the user's own is taken.
func ours(t *testing.T) workspace {
	t.Helper()
	w := workspace{dir: checkout(t)}
	oursOnce.Do(func() {
		base, free := keep(t, "checkout-test", syscall.LOCK_NB)
		if !free {
			return
		}
		oursBase = base
		afterAll(func() error {
			_, err := workspace{dir: w.dir, outputBase: base}.run(context.Background(), "shutdown")
			return err
		})
	})
	w.outputBase = oursBase
	return w
}

var (
	oursOnce sync.Once
	oursBase string
)

// atEnd are called after all tests.
var (
	atEndMu sync.Mutex
	atEnd   []func() error
)

func afterAll(do func() error) {
	atEndMu.Lock()
	defer atEndMu.Unlock()
	atEnd = append(atEnd, do)
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, do := range atEnd {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, "after the tests:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// keep returns an output base that outlives the tests, and takes it for this process alone: a second one would end the first
// one's server. With LOCK_NB it does not wait, and tells whether it was free.
func keep(t *testing.T, name string, how int) (base string, free bool) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "bazel", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Open until the process ends.
	lock, err := syscall.Open(filepath.Join(dir, "lock"), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	err = syscall.Flock(lock, syscall.LOCK_EX|how)
	if err != nil && !(how&syscall.LOCK_NB != 0 && errors.Is(err, syscall.EWOULDBLOCK)) {
		t.Fatal(err)
	}
	return filepath.Join(dir, "base"), err == nil
}

// run runs a Bazel command and returns what it printed on both streams.
func (w workspace) run(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	_, err := w.start(ctx, &output, &output, args...)
	return output.String(), err
}

func (w workspace) start(ctx context.Context, stdout, stderr io.Writer, args ...string) (*exec.Cmd, error) {
	var startup []string
	if w.outputBase != "" {
		startup = []string{"--output_base=" + w.outputBase}
		// As in .bazelrc of the checkout, which not every workspace has. Where they are in that file they are not given again:
		// a deploy does not either, and Bazel would stop its server for the difference, and start another one.
		if rc, _ := os.ReadFile(filepath.Join(w.dir, ".bazelrc")); !strings.Contains(string(rc), "startup --host_jvm_args") {
			startup = append(startup, "--host_jvm_args=-XX:TieredStopAtLevel=1", "--host_jvm_args=-XX:+UseSerialGC",
				"--local_startup_timeout_secs=600")
		}
	}
	cmd := exec.CommandContext(ctx, "bazel", append(startup, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, stdout, stderr
	return cmd, cmd.Run()
}

// must runs a Bazel command that has to succeed and returns its standard output, trimmed.
func (w workspace) must(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if _, err := w.start(t.Context(), &stdout, &stderr, args...); err != nil {
		t.Fatalf("bazel %s in %s: %v\n%s%s", strings.Join(args, " "), w.dir, err, stderr.String(), stdout.String())
	}
	return strings.TrimSpace(stdout.String())
}

// refuses runs a Bazel command that has to fail and to say why with want.
func (w workspace) refuses(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := w.run(t.Context(), args...)
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) {
		t.Errorf("bazel %s: %v, want it to fail with %q\n%s", strings.Join(args, " "), err, want, out)
	} else if !strings.Contains(out, want) {
		t.Errorf("bazel %s failed without saying %q:\n%s", strings.Join(args, " "), want, out)
	}
}

// checkout returns the root of this checkout, with the repositories of the examples made.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	repositoriesOnce.Do(func() { makeRepositories(t, root) })
	return root
}

var repositoriesOnce sync.Once

func makeRepositories(t *testing.T, root string) {
	t.Helper()
	command(t, root, filepath.Join(root, "tools/repos"))
}

// command runs a command that has to succeed and returns its standard output.
func command(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stderr.String(), stdout.String())
	}
	return stdout.String()
}

// copyTo copies the checkout's files, those that git ignores left out, into dir.
func copyTo(t *testing.T, root, dir string) {
	t.Helper()
	listed := command(t, root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimSuffix(listed, "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, but not yet from git's index
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(content), info.Mode().Perm())
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
