package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What one tag makes in a directory below that of another must not give the other more room when it removes it.
func TestRemovingWhatWasNotCountedGivesNoRoom(t *testing.T) {
	top := t.TempDir()
	dir, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var disks Disks
	v, err := disks.Open(dir, Limits{MaxBytes: 10, MaxFiles: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(top, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := v.Remove(name, false); err != nil {
			t.Fatal(err)
		}
	}
	if u := v.Usage(); u.Bytes != 0 || u.Files != 0 {
		t.Errorf("%d bytes in %d files are counted in an empty directory", u.Bytes, u.Files)
	}
}

// TestOverlappingDirectories: two tags that may write are in one directory or beside each other, not one in the other.
func TestOverlappingDirectories(t *testing.T) {
	top := t.TempDir()
	inner, beside := filepath.Join(top, "a", "b"), filepath.Join(top, "ab")
	for _, dir := range []string{inner, beside} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var disks Disks
	open := func(path string, readOnly bool) (*Volume, error) {
		dir, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		return disks.Open(dir, Limits{ReadOnly: readOnly, MaxFiles: 10})
	}
	must := func(path string, readOnly bool) *Volume {
		t.Helper()
		v, err := open(path, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	refused := func(path string) {
		t.Helper()
		var overlap *OverlapError
		if v, err := open(path, false); !errors.As(err, &overlap) {
			t.Errorf("%s: %v, %v", path, v, err)
		}
	}
	first := must(inner, false)
	refused(filepath.Join(top, "a"))
	refused(top)
	reader := must(top, true)
	again, other := must(inner, false), must(beside, false)
	refused(top) // also where it is open to be read
	for _, v := range []*Volume{first, again, other} {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	outer := must(top, false)
	refused(inner)
	for _, v := range []*Volume{outer, reader} {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	must(inner, false).Close()
	if len(disks.used) != 0 {
		t.Errorf("%d directories are in use", len(disks.used))
	}
}

// TestPrivilegesOfFiles: what a function may write to is executed as nobody else.
func TestPrivilegesOfFiles(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"read", "written", "cut"} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.WriteFile(path, []byte("#!"), 0o755), os.Chmod(path, os.ModeSetuid|os.ModeSetgid|0o755)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var disks Disks
	v, err := disks.Open(dir, Limits{MaxFiles: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for name, flags := range map[string]int{"read": unix.O_RDONLY, "written": unix.O_RDWR, "cut": unix.O_WRONLY | unix.O_TRUNC} {
		f, err := v.OpenFile(name, flags)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.WriteAt([]byte("x"), 0); (err == nil) != (flags != unix.O_RDONLY) {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
		info, err := os.Stat(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		if has := info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0; has != (flags == unix.O_RDONLY) || info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// TestStuckDisk: operations on a directory whose disk does not answer hold up no others, and don't pile up.
func TestStuckDisk(t *testing.T) {
	defer func(before time.Duration) { slotWait = before }(slotWait)
	slotWait = time.Millisecond
	var disks Disks
	volume := func() *Volume {
		dir, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		v, err := disks.Open(dir, Limits{MaxFiles: 10})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	stuck, other := volume(), volume()
	for range atOnce {
		if err := stuck.disk.begin(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stuck.Mkdir("a"); !errors.Is(err, unix.EIO) {
		t.Errorf("one operation more: %v", err)
	}
	if err := other.Mkdir("a"); err != nil {
		t.Errorf("on another directory: %v", err)
	}
	stuck.users++ // one of those that are under way
	if err := stuck.Close(); err != nil || len(disks.used) != 2 {
		t.Errorf("closing what is in use: %v, %d directories are in use", err, len(disks.used))
	}
	if err := stuck.Mkdir("a"); !errors.Is(err, unix.EIO) {
		t.Errorf("an operation after the end: %v", err)
	}
	stuck.leave()
	if len(disks.used) != 1 {
		t.Error("the last operation did not give the directory back")
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}
