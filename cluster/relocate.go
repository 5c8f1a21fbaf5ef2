package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bazel's sandbox binds a workspace below /tmp into each action, and the kernel refuses to bind a tree with mounts in
// it (EINVAL), which is what Nomad makes of a running allocation's secrets. So the state directory of a cluster that
// would lie in such a workspace is made elsewhere, and what was asked for becomes a symbolic link to it.
const bindsBelow = "/tmp"

var elsewhere = "/var/tmp" // a test has its own

// relocate makes the state directory of a new cluster elsewhere if it has to be.
func relocate(path string) error {
	if path == "" {
		path = DefaultDir
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("cluster directory %s: %w", path, err)
	}
	if target, err := os.Readlink(abs); err == nil {
		// A link that was left by a cluster whose directory is gone.
		if _, err := os.Stat(abs); errors.Is(err, os.ErrNotExist) && strings.HasPrefix(target, elsewhere+"/") {
			return os.MkdirAll(target, 0o700)
		}
		return nil
	}
	if _, err := os.Lstat(abs); err == nil || !inBoundWorkspace(abs) {
		return nil
	}
	real, err := os.MkdirTemp(elsewhere, "countersign-cluster-")
	if err != nil {
		return fmt.Errorf("cluster directory for a workspace below %s: %w", bindsBelow, err)
	}
	if err := os.Symlink(real, abs); err != nil {
		return errors.Join(fmt.Errorf("cluster directory for a workspace below %s: %w", bindsBelow, err), os.Remove(real))
	}
	return nil
}

// inBoundWorkspace tells whether path lies in a Bazel workspace that the sandbox would bind.
func inBoundWorkspace(path string) bool {
	for parent := filepath.Dir(path); strings.HasPrefix(parent, bindsBelow+"/"); parent = filepath.Dir(parent) {
		for _, mark := range []string{"WORKSPACE", "WORKSPACE.bazel", "MODULE.bazel"} {
			if _, err := os.Stat(filepath.Join(parent, mark)); err == nil {
				return true
			}
		}
	}
	return false
}

// unlink removes the symbolic link that relocate made, once the directory is gone.
func unlink(path string) error {
	if path == "" {
		path = DefaultDir
	}
	target, err := os.Readlink(path)
	if err != nil || !strings.HasPrefix(target, elsewhere+"/") {
		return nil // not a link of ours
	}
	return os.Remove(path)
}
