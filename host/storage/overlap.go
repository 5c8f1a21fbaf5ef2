package storage

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// OverlapError says that two tags would count the same files each by itself.
type OverlapError struct{ Dir, Other string }

// Error implements error.
func (e *OverlapError) Error() string {
	return fmt.Sprintf("%s and %s are one in the other, and functions may write to both: what one writes would not be counted for the other; "+
		"bind them to directories beside each other, or to the same one", e.Dir, e.Other)
}

// ancestors are the directories above one.
func ancestors(dir int) (list []identity, err error) {
	fd, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	for last := (identity{}); ; {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		id := identity{st.Dev, st.Ino}
		if id == last { // the root is above itself
			return list[1:], unix.Close(fd)
		}
		list, last = append(list, id), id
		above, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return nil, err
		}
		fd = above
	}
}

// overlaps finds another directory above or below k that functions may write to. d.mu is held.
func (d *Disks) overlaps(k *disk) error {
	for id, other := range d.used {
		if other != k && other.writers > 0 && (slices.Contains(k.above, id) || slices.Contains(other.above, k.id)) {
			return &OverlapError{k.name, other.name}
		}
	}
	return nil
}
