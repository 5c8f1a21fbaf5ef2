package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endPause is how long the kernel gets before it is looked again whether a group is empty.
const endPause = 5 * time.Millisecond

// pids returns the processes of a group.
func pids(p place) (map[int]bool, error) {
	text, err := os.ReadFile(p.file("cgroup.procs"))
	if err != nil {
		return nil, err
	}
	in := map[int]bool{}
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p.file("cgroup.procs"), err)
		}
		in[pid] = true
	}
	return in, nil
}

// ended tells whether a process has ended, although nobody has waited for it (proc_pid_stat(5), field 3).
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	return err != nil || strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// kill sends SIGKILL to everything that is in a group.
func kill(p place) error {
	if p.v2 {
		err := write(p.file("cgroup.kill"), "1")
		if !errors.Is(err, fs.ErrNotExist) { // as before Linux 5.14
			return err
		}
	}
	in, err := pids(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for pid := range in {
		if pid > 0 { // 0 stands for a process that this PID namespace can't name
			errs = append(errs, killMember(p, pid))
		}
	}
	return errors.Join(errs...)
}

// killMember ends a process, if it is still the one that is in the group.
func killMember(p place, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending process %d of cgroup %s: %w", pid, p.dir, err)
	}
	defer unix.Close(fd)
	// A process that has ended may have left its number to another one before it was held by its descriptor.
	if in, err := pids(p); err != nil || !in[pid] {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("ending process %d of cgroup %s: %w", pid, p.dir, err)
	}
	return nil
}

// until repeats an attempt until it succeeds, or for removeTime.
func until(attempt func() error) error {
	deadline := time.Now().Add(removeTime)
	for {
		err := attempt()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(endPause)
	}
}

// empty ends everything that is in a group, and waits for it.
func empty(p place) error {
	return until(func() error {
		in, err := pids(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil && len(in) == 0:
			return nil
		case err == nil:
			err = fmt.Errorf("%d processes in it do not end", len(in))
		}
		return errors.Join(fmt.Errorf("emptying the cgroup %s: %w", p.dir, err), kill(p))
	})
}

// rmdir is replaced by tests: only the kernel's directories are empty when files are in them.
var rmdir = unix.Rmdir

// removeGroup ends everything that is in a group and removes it. That can fail for a moment after the last process ended.
func removeGroup(p place) error {
	return until(func() error {
		err := rmdir(p.dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		return errors.Join(fmt.Errorf("removing the cgroup %s: %w", p.dir, err), kill(p))
	})
}
