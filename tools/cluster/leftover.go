package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Leftover is what of a cluster is still on the machine besides its directory.
type Leftover struct {
	Processes []int    `json:"processes,omitempty"`
	Mounts    []string `json:"mounts,omitempty"`
	Cgroups   []string `json:"cgroups,omitempty"`
}

// None tells whether nothing is left.
func (l Leftover) None() bool { return len(l.Processes)+len(l.Mounts)+len(l.Cgroups) == 0 }

// FindLeftover looks for what the cluster in a directory ("" is DefaultDir) has on the machine: running or left over.
func FindLeftover(path string) (Leftover, error) {
	d, err := open(path)
	if err != nil {
		return Leftover{}, err
	}
	s, err := d.load()
	if err != nil {
		return Leftover{}, err
	}
	return findLeftover(d, s)
}

func findLeftover(d dir, s *state) (Leftover, error) {
	mounts, err := readMounts()
	if err != nil {
		return Leftover{}, err
	}
	l := Leftover{Mounts: below(mounts, d.root), Cgroups: cgroups(mounts, s.cgroupParent())}
	l.Processes, err = members(s, l.Cgroups)
	return l, err
}

// members returns the processes of a cluster: those that were started with its marker, those in its cgroups, and the
// descendants of both. A task may have been started with an environment of its own, and left its cgroup.
func members(s *state, cgroups []string) ([]int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	inCgroup := cgroupProcesses(cgroups)
	member := map[int]bool{}
	for _, p := range all {
		if inCgroup[p.pid] || hasMarker(p.pid, s.marker()) {
			member[p.pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !member[p.pid] && member[p.parent] {
				member[p.pid], grown = true, true
			}
		}
	}
	delete(member, os.Getpid())
	delete(member, 1)
	var pids []int
	for pid := range member {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// endMembers ends every process of the cluster, looking again until there is none: a process may have started others
// meanwhile.
func endMembers(ctx context.Context, d dir, s *state) error {
	deadline := time.Now().Add(2 * stopGrace)
	kill := time.Now().Add(stopGrace / 2)
	told := map[record]bool{}
	for {
		l, err := findLeftover(d, s)
		if err != nil || len(l.Processes) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of the cluster do not end, not even by SIGKILL", l.Processes)
		}
		for _, pid := range l.Processes {
			p, err := readProc(pid)
			if err != nil {
				continue
			}
			r := record{PID: pid, StartTick: p.startTick, BootID: bootID()}
			switch {
			case time.Now().After(kill) || ctx.Err() != nil:
				r.signal(syscall.SIGKILL)
			case !told[r]:
				r.signal(syscall.SIGTERM)
				told[r] = true
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// mount is a line of /proc/self/mountinfo: see proc_pid_mountinfo(5).
type mount struct{ point, kind string }

func readMounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return parseMounts(string(data)), nil
}

func parseMounts(data string) []mount {
	var all []mount
	scan := bufio.NewScanner(strings.NewReader(data))
	for scan.Scan() {
		before, after, ok := strings.Cut(scan.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) >= 5 && len(right) >= 1 {
			all = append(all, mount{point: unescape(left[4]), kind: right[0]})
		}
	}
	return all
}

// unescape undoes the octal escapes of spaces and the like in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below returns the mount points in root, the last mounted first.
func below(mounts []mount, root string) []string {
	var points []string
	for _, m := range mounts {
		if strings.HasPrefix(m.point, root+"/") {
			points = append(points, m.point)
		}
	}
	slices.Reverse(points)
	return points
}

// unmount removes the mounts in the cluster's directory, those that are in use lazily.
func unmount(d dir) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range below(mounts, d.root) {
		err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: it went away with the one before
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// cgroups returns the directories of a cgroup that exist: one with cgroup v2, one for each controller with v1.
func cgroups(mounts []mount, name string) []string {
	var dirs []string
	for _, m := range mounts {
		if m.kind != "cgroup" && m.kind != "cgroup2" {
			continue
		}
		path := filepath.Join(m.point, name)
		if info, err := os.Stat(path); err == nil && info.IsDir() && !slices.Contains(dirs, path) {
			dirs = append(dirs, path)
		}
	}
	return dirs
}

// removeCgroups removes the cluster's cgroups, innermost first. One can't be removed for a moment after its last
// process has ended.
func removeCgroups(s *state) error {
	deadline := time.Now().Add(stopGrace)
	for {
		mounts, err := readMounts()
		if err != nil {
			return err
		}
		var errs []error
		for _, root := range cgroups(mounts, s.cgroupParent()) {
			errs = append(errs, removeTree(root))
		}
		if err := errors.Join(errs...); err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	errs := []error{err}
	for _, path := range slices.Backward(dirs) {
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove cgroup %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
