package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nomadCgroups are the parents of Nomad's cgroups, with cgroup v1 and v2. All agents of a machine share them, since
// Nomad does not follow its setting cgroup_parent; a cluster's own are told by the IDs of its allocations.
var nomadCgroups = []string{"nomad", "nomad.slice"}

// hostCgroups are the parents of those that hosts make for native functions: host/native/cgroup. A host removes its own
// when it ends in order.
var hostCgroups = []string{"countersign", "countersign.slice"}

var allocationID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// allocations returns the IDs of the allocations whose directories the nodes' Nomads have not removed.
func (d dir) allocations(s *state) []string {
	var ids []string
	for _, node := range s.nodes() {
		entries, err := os.ReadDir(d.path("data", agent("nomad", node), "alloc"))
		if err != nil {
			continue // there was no Nomad yet
		}
		for _, e := range entries {
			if allocationID.MatchString(e.Name()) {
				ids = append(ids, e.Name())
			}
		}
	}
	return ids
}

// noteAllocations adds IDs to those that the state keeps. Nomad removes the directory of an allocation whose cgroup it
// could not remove, and then nothing else tells whose that was.
func (d dir) noteAllocations(s *state, ids []string) error {
	all := slices.Concat(s.Allocations, ids, d.allocations(s))
	slices.Sort(all)
	s.Allocations = slices.Compact(all)
	return d.save(s)
}

// cgroupParents returns the shared parents with these names that exist: one with cgroup v2, one for each controller with
// v1.
func cgroupParents(mounts []mount, names []string) []string {
	var parents []string
	for _, m := range mounts {
		if m.kind != "cgroup" && m.kind != "cgroup2" {
			continue
		}
		for _, name := range names {
			path := filepath.Join(m.point, name)
			if info, err := os.Stat(path); err == nil && info.IsDir() && !slices.Contains(parents, path) {
				parents = append(parents, path)
			}
		}
	}
	return parents
}

// cgroups returns the outermost cgroup directories that belong to allocations of the cluster. Their names begin with
// the allocation's ID.
func (d dir) cgroups(mounts []mount, s *state) []string {
	ids := slices.Concat(s.Allocations, d.allocations(s))
	var found []string
	for _, parent := range cgroupParents(mounts, slices.Concat(nomadCgroups, hostCgroups)) {
		filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return nil // what goes away while it is looked at is what is wanted
			}
			if id, _, ok := strings.Cut(e.Name(), "."); ok && slices.Contains(ids, id) {
				found = append(found, path)
				return fs.SkipDir
			}
			return nil
		})
	}
	return found
}

// removeCgroups removes the cluster's cgroups, innermost first. One can't be removed for a moment after its last
// process has ended.
func removeCgroups(ctx context.Context, d dir, s *state) error {
	deadline := time.Now().Add(stopGrace)
	for {
		mounts, err := readMounts()
		if err != nil {
			return err
		}
		var errs []error
		for _, path := range d.cgroups(mounts, s) {
			errs = append(errs, removeTree(path))
			if host := filepath.Dir(path); slices.Contains(hostCgroups, filepath.Base(filepath.Dir(host))) {
				unix.Rmdir(host) // best effort: the last group of a host that was killed takes it along
			}
		}
		err = errors.Join(errs...)
		if err == nil {
			return removeSharedCgroups(ctx, cgroupParents(mounts, nomadCgroups))
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// removeSharedCgroups removes the parents when no Nomad is left on the machine that uses them, or starts. Where tasks of
// another one run on without their agent, they are not empty and stay.
func removeSharedCgroups(ctx context.Context, parents []string) error {
	unlock, err := lockCgroupsAlone(ctx)
	if unlock == nil || err != nil {
		return err
	}
	defer unlock()
	all, err := processes()
	if err != nil {
		return err
	}
	for _, p := range all {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid)); err == nil &&
			filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "nomad" {
			return nil
		}
	}
	for _, parent := range parents {
		if len(cgroupProcesses([]string{parent})) == 0 {
			removeTree(parent) // best effort: an empty directory that the next agent makes again
		}
	}
	return nil
}

// lockCgroups keeps other clusters from removing the shared cgroups while a Nomad of this one starts and makes them. Several
// may start at the same time.
func lockCgroups(ctx context.Context) (unlock func(), err error) {
	path, err := cgroupsLock()
	if err != nil {
		return nil, err
	}
	return lockFile(ctx, path, unix.LOCK_SH, nil)
}

// lockCgroupsAlone keeps every Nomad from starting. unlock is nil if one starts now.
func lockCgroupsAlone(ctx context.Context) (unlock func(), err error) {
	path, err := cgroupsLock()
	if err != nil {
		return nil, err
	}
	for {
		if unlock, err := tryLock(path, unix.LOCK_EX); unlock != nil || err != nil {
			return unlock, err
		}
		// What can be shared is held by those that start a Nomad, and the rest by one that does the same as this.
		starting, err := tryLock(path, unix.LOCK_SH)
		if err != nil {
			return nil, err
		}
		if starting != nil {
			starting()
			return nil, nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("lock %s is held by another command, which does not end: %w", path, err)
		}
	}
}

// cgroupsLock returns the file of the lock, which all clusters of a user share.
func cgroupsLock() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("lock of Nomad's cgroups: %w", err)
	}
	path := filepath.Join(cache, "countersign", "cgroups.lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("lock of Nomad's cgroups: %w", err)
	}
	return path, nil
}

// removeTree removes a cgroup with those below it, innermost first. Their files can't be removed and need not be.
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
