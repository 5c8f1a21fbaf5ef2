package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// File names the file of a function's job below dir.
func File(dir, function string) string { return filepath.Join(dir, function+".nomad.hcl") }

// Write writes file atomically, unless it has that content already, and tells whether it wrote. It makes the directory.
func Write(file string, content []byte) (changed bool, err error) {
	old, err := os.ReadFile(file)
	if err == nil && bytes.Equal(old, content) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("compare with what is there: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, fmt.Errorf("make the directory: %w", err)
	}
	err = renameio.WriteFile(file, content, 0o644, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o644))
	if err != nil {
		return false, fmt.Errorf("write: %w", err)
	}
	return true, nil
}

// Remove deletes the file of a rendered job, and tells whether there was one.
func Remove(file string) (existed bool, err error) {
	err = os.Remove(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Exists tells whether there is a file of a rendered job.
func Exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
