package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"countersign/host/allocdir"
	"countersign/host/control"
)

// logPipe makes an allocation's directory with a pipe for a log.
func logPipe(t *testing.T) (dir allocdir.Dir, path string) {
	t.Helper()
	dir = allocdir.Dir(t.TempDir())
	path = filepath.Join(string(dir), ".quote.stdout.fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func TestLog(t *testing.T) {
	dir, path := logPipe(t)
	l, err := openLog(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reader, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := l.Write([]byte("a line\n")); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 100)
	if n, err := reader.Read(buf); err != nil || string(buf[:n]) != "a line\n" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	for _, none := range []string{"", os.DevNull} {
		l, err := openLog(dir, none)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		l.Close()
	}
}

// TestLogIsNoLink has another task of the group put a link in place of the pipe, before the log is opened and while it is
// in use.
func TestLogIsNoLink(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, path := logPipe(t)
	l, err := openLog(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(os.Remove(path), os.Symlink(victim, path)); err != nil {
		t.Fatal(err)
	}
	l.f.Close()
	l.f = nil // as after a write that failed
	var refused *allocdir.Error
	if _, err := l.Write([]byte("after")); !errors.As(err, &refused) {
		t.Errorf("writing again: %v", err)
	}
	if l, err := openLog(dir, path); !errors.As(err, &refused) {
		t.Errorf("opening it: %v, %v", l, err)
	}
	if content, err := os.ReadFile(victim); err != nil || string(content) != "before" {
		t.Errorf("the victim is %q, %v", content, err)
	}
}

// TestIdentityIsNoLink starts a task whose workload identity is a link to another one's.
func TestIdentityIsNoLink(t *testing.T) {
	f := newFixture(t)
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "token")
	file := filepath.Join(dir, "token")
	if err := errors.Join(os.WriteFile(other, []byte("theirs"), 0o600), os.Symlink(other, file)); err != nil {
		t.Fatal(err)
	}
	_, err := f.host.Start(context.Background(), control.StartRequest{TaskID: "t", AllocID: "a", Function: "quote",
		AllocDir: dir, IdentityFile: file})
	var failure *control.Failure
	if !errors.As(err, &failure) || failure.Kind != control.Invalid || !strings.Contains(failure.Message, "a link is on the way") {
		t.Errorf("got %v", err)
	}
}
