package control

import (
	"fmt"
	"os"
	"syscall"
)

// MakeDataDir makes a host's data directory private: it is made if it is missing, and closed to other users. One that
// belongs to another user is refused, who could put something else in the place of all that is in it.
func MakeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the host's data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the host's data directory: %w", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 && owner != uint32(os.Geteuid()) {
		return fmt.Errorf("the host's data directory %s belongs to user %d, not to root or user %d: remove it, or name another `data_dir`",
			dir, owner, os.Geteuid())
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil { // it may be older than we are
		return fmt.Errorf("closing the host's data directory to others: %w", err)
	}
	return nil
}
