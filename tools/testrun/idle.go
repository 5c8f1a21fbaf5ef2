package testrun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// An idleGroup is a control group whose processes get only the processor time that nobody else wants: cpu.idle, since
// Linux 5.15 (kernel documentation, admin-guide/cgroup-v2, "CPU Interface Files"). A niceness says that only within a
// session where the kernel groups sessions (sched(7), "The autogroup feature"), and servers have sessions of their own.
type idleGroup struct{ dir string }

// idle is the group of all commands of this process that run at the same time: among them niceness counts, which it does not
// between groups.
var idle struct {
	sync.Mutex
	group idleGroup
	users int
}

// joinIdle returns the group, which it makes for the first command.
func joinIdle() (idleGroup, error) {
	idle.Lock()
	defer idle.Unlock()
	if idle.users == 0 {
		g, err := newIdleGroup()
		if err != nil {
			return idleGroup{}, err
		}
		idle.group = g
	}
	idle.users++
	return idle.group, nil
}

// leaveIdle removes the group with the last command.
func leaveIdle() error {
	idle.Lock()
	defer idle.Unlock()
	idle.users--
	if idle.users > 0 {
		return nil
	}
	return idle.group.remove()
}

// newIdleGroup makes a group below the one that this process is in. It fails where that is not allowed.
func newIdleGroup() (idleGroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return idleGroup{}, fmt.Errorf("finding the control group of this process: %w", err)
	}
	parent, unified := cpuGroup("/sys/fs/cgroup", string(own))
	if parent == "" {
		return idleGroup{}, errors.New("this process is in no control group of processors")
	}
	if unified { // its children can have processor weights only if it hands them down
		if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+cpu"), 0); err != nil {
			return idleGroup{}, fmt.Errorf("handing down the control of processors: %w", err)
		}
	}
	g := idleGroup{filepath.Join(parent, fmt.Sprintf("countersign-tests-%d-%d", os.Getpid(), time.Now().UnixNano()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return idleGroup{}, fmt.Errorf("making a control group: %w", err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "cpu.idle"), []byte("1"), 0); err != nil {
		return idleGroup{}, errors.Join(fmt.Errorf("making a control group idle: %w", err), os.Remove(g.dir))
	}
	return g, nil
}

// cpuGroup finds the directory that controls processors for the process with these lines of /proc/self/cgroup
// (cgroups(7)), and tells whether it is of the unified hierarchy.
func cpuGroup(root, own string) (dir string, unified bool) {
	for line := range strings.Lines(own) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "cpu" {
				return filepath.Join(root, parts[1], parts[2]), false
			}
		}
		if parts[0] == "0" {
			dir, unified = filepath.Join(root, parts[2]), true
		}
	}
	return dir, unified
}

// procs is the file that lists the group's processes, and takes those that join.
func (g idleGroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// remove removes the group. What still runs in it, as Bazel's server does, goes on outside.
func (g idleGroup) remove() error {
	for range 50 {
		left, err := os.ReadFile(g.procs())
		if err != nil {
			return fmt.Errorf("reading what is left in a control group: %w", err)
		}
		for _, pid := range strings.Fields(string(left)) {
			// One that has ended meanwhile can't be moved and need not be.
			_ = os.WriteFile(filepath.Join(filepath.Dir(g.dir), "cgroup.procs"), []byte(pid), 0)
		}
		if err = os.Remove(g.dir); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("removing the control group %s: it still has processes", g.dir)
}
