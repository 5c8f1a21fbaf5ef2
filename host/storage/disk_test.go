package storage

import (
	"os"
	"path/filepath"
	"testing"
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
