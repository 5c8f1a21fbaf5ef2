package allocdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// layout is an allocation's directory with a pipe and a file as Nomad makes them, and outside of it the same again.
type layout struct {
	t             *testing.T
	dir           Dir
	outside       string
	pipe, file    string
	victim, other string // a file and a pipe that are not the allocation's
}

func newLayout(t *testing.T) layout {
	top := t.TempDir()
	l := layout{t: t, dir: Dir(filepath.Join(top, "alloc")), outside: filepath.Join(top, "outside")}
	l.pipe, l.file = filepath.Join(string(l.dir), "alloc/logs/.quote.stdout.fifo"), filepath.Join(string(l.dir), "quote/secrets/token")
	l.victim, l.other = filepath.Join(l.outside, "token"), filepath.Join(l.outside, ".quote.stdout.fifo")
	for _, dir := range []string{filepath.Dir(l.pipe), filepath.Dir(l.file), l.outside} {
		l.must(os.MkdirAll(dir, 0o755))
	}
	l.must(unix.Mkfifo(l.pipe, 0o600), os.WriteFile(l.file, []byte("ours"), 0o600),
		unix.Mkfifo(l.other, 0o600), os.WriteFile(l.victim, []byte("theirs"), 0o600))
	return l
}

func (l layout) must(errs ...error) {
	l.t.Helper()
	if err := errors.Join(errs...); err != nil {
		l.t.Fatal(err)
	}
}

func TestWhatNomadMakes(t *testing.T) {
	l := newLayout(t)
	content, err := l.dir.Read(l.file, 4)
	if err != nil || string(content) != "ours" {
		t.Errorf("got %q, %v", content, err)
	}
	for range 2 { // it can be opened again, and needs no reader
		pipe, err := l.dir.OpenPipe(l.pipe)
		l.must(err)
		if _, err := pipe.WriteString("a line\n"); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 10)
		if n, err := pipe.Read(buf); err != nil || string(buf[:n]) != "a line\n" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		l.must(pipe.Close())
	}
	// Where Nomad's data directory is reached by a link, that is the operator's.
	link := filepath.Join(l.outside, "data")
	l.must(os.Symlink(string(l.dir), link))
	if _, err := Dir(link).Read(filepath.Join(link, "quote/secrets/token"), 4); err != nil {
		t.Error(err)
	}
}

// TestWhatIsPutInPlace replaces the pipe and the file, and directories on the way to them, by other things.
func TestWhatIsPutInPlace(t *testing.T) {
	replace := func(f func(l layout, path, theirs string) error) func(layout) error {
		return func(l layout) error {
			return errors.Join(os.Remove(l.pipe), f(l, l.pipe, l.other), os.Remove(l.file), f(l, l.file, l.victim))
		}
	}
	directory := func(f func(dir, aside, outside string) error) func(layout) error {
		return func(l layout) error {
			var errs []error
			for _, dir := range []string{filepath.Dir(l.pipe), filepath.Dir(l.file)} {
				errs = append(errs, f(dir, dir+".aside", l.outside))
			}
			return errors.Join(errs...)
		}
	}
	tests := []struct {
		name, want string
		attack     func(layout) error
	}{
		{"a link", "a link is on the way", replace(func(_ layout, path, theirs string) error { return os.Symlink(theirs, path) })},
		{"a relative link", "a link is on the way", replace(func(_ layout, path, theirs string) error {
			return os.Symlink("../../../outside/"+filepath.Base(theirs), path)
		})},
		{"a link within", "a link is on the way", replace(func(l layout, path, _ string) error {
			real := filepath.Join(string(l.dir), "real"+filepath.Base(path))
			if path == l.pipe {
				return errors.Join(unix.Mkfifo(real, 0o600), os.Symlink(real, path))
			}
			return errors.Join(os.WriteFile(real, nil, 0o600), os.Symlink(real, path))
		})},
		{"a link to nothing", "a link is on the way", replace(func(_ layout, path, _ string) error { return os.Symlink("/nowhere", path) })},
		{"a link of the kernel", "a link is on the way", replace(func(_ layout, path, _ string) error { return os.Symlink("/proc/self/fd/0", path) })},
		{"a second name", "it has 2 names", replace(func(_ layout, path, theirs string) error { return os.Link(theirs, path) })},
		{"a directory", "it is not a", replace(func(_ layout, path, _ string) error { return os.Mkdir(path, 0o700) })},
		{"a device", "it is not a", replace(func(_ layout, path, _ string) error {
			return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
		})},
		{"a socket", "it is not a", replace(func(_ layout, path, _ string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) })},
		{"the other kind", "it is not a", replace(func(l layout, path, _ string) error {
			if path == l.pipe {
				return os.WriteFile(path, nil, 0o600)
			}
			return unix.Mkfifo(path, 0o600)
		})},
		{"somebody else's", "it belongs to user 65534", func(l layout) error {
			return errors.Join(os.Chown(l.pipe, 65534, 65534), os.Chown(l.file, 65534, 65534))
		}},
		{"open to the group", "others may write", func(l layout) error {
			return errors.Join(os.Chmod(l.pipe, 0o620), os.Chmod(l.file, 0o620))
		}},
		{"open to all", "others may write", func(l layout) error {
			return errors.Join(os.Chmod(l.pipe, 0o602), os.Chmod(l.file, 0o646))
		}},
		{"a directory that is a link", "a link is on the way", directory(func(dir, aside, outside string) error {
			return errors.Join(os.Rename(dir, aside), os.Symlink(outside, dir))
		})},
		{"a directory that is a link within", "a link is on the way", directory(func(dir, aside, _ string) error {
			return errors.Join(os.Rename(dir, aside), os.Symlink(filepath.Base(aside), dir))
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLayout(t)
			l.must(tt.attack(l))
			pipe, err := l.dir.OpenPipe(l.pipe)
			wantRefusal(t, err, tt.want)
			if pipe != nil {
				t.Error("the pipe was opened")
			}
			content, err := l.dir.Read(l.file, 100)
			wantRefusal(t, err, tt.want)
			if content != nil {
				t.Errorf("it read %q", content)
			}
		})
	}
}

func wantRefusal(t *testing.T, err error, want string) {
	t.Helper()
	var refused *Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestPathsThatLeadOut(t *testing.T) {
	l := newLayout(t)
	for _, path := range []string{l.victim, "/etc/passwd", string(l.dir) + "/../outside/token", "", "token", string(l.dir) + "x/token"} {
		_, err := l.dir.Read(path, 100)
		wantRefusal(t, err, "not below")
	}
	_, err := Dir("").Read(l.file, 100)
	wantRefusal(t, err, "not below")
	_, err = l.dir.Read(l.file, 3)
	wantRefusal(t, err, "more than 3 bytes")
	if _, err := l.dir.Read(l.file+"x", 3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
}
