package storage

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpenBelow(t *testing.T) {
	top := t.TempDir()
	allowed, other := filepath.Join(top, "allowed"), filepath.Join(top, "other")
	for _, dir := range []string{filepath.Join(allowed, "a", "b"), other, allowed + "-not"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(other, filepath.Join(allowed, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(allowed, "within")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(allowed, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		allowed: true, allowed + "/a": true, allowed + "/a/b": true,
		other: false, allowed + "-not": false, top: false, "/": false, allowed + "/../other": false, allowed + "/link": false,
		allowed + "/within/b": false, allowed + "/file": false, allowed + "/missing": false, "a": false, "": false,
	} {
		f, err := OpenBelow(path, []string{"/nonexistent", allowed})
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			f.Close()
		}
	}
	if _, err := OpenBelow(allowed, nil); err == nil {
		t.Error("a directory was opened, and none is allowed")
	}
}

func TestMakeBelow(t *testing.T) {
	top, other := t.TempDir(), t.TempDir()
	for range 2 { // the second time it is there
		f, err := MakeBelow(top, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.Symlink(other, filepath.Join(top, "c")); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeBelow(top, "c", "d"); err == nil {
		t.Error("a link was followed")
	}
	if entries, err := os.ReadDir(other); err != nil || len(entries) != 0 {
		t.Errorf("the other directory has %v, %v", entries, err)
	}
}
