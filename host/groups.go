package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"countersign/host/control"
	"countersign/host/native"
	"countersign/host/native/cgroup"
)

// groups is where the cgroups of this host's native functions are made, or why there can be none. A host without them
// runs functions in WebAssembly only.
type groups struct {
	tree   *cgroup.Tree
	absent error
}

// openGroups finds the cgroups of this machine, and removes those of hosts of this data directory that are gone: a host
// that was killed took its functions with it, but not their groups.
func (h *Host) openGroups() {
	life, err := lifeOf(os.Getpid())
	if err == nil {
		var owner cgroup.Owner
		if owner, err = cgroup.OwnerOf(h.config.DataDir, life); err == nil {
			h.groups.tree, err = cgroup.Open(owner)
		}
	}
	if err != nil {
		h.groups.absent = err
		h.log.Warn("native functions can't run on this node", "error", err)
		return
	}
	if err := h.groups.tree.Sweep(livesOn); err != nil {
		h.log.Error("what an earlier host left could not be removed", "error", err)
	}
}

// lifeOf names a process, and no later one with its process ID.
func lifeOf(pid int) (string, error) {
	tick, err := control.StartTick(pid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d-%d", pid, tick), nil
}

// livesOn tells whether the process that lifeOf named still runs. What is no such name can't be told to be left over.
func livesOn(life string) bool {
	text, _, _ := strings.Cut(life, "-")
	pid, err := strconv.Atoi(text)
	if err != nil {
		return true
	}
	now, err := lifeOf(pid)
	return err == nil && now == life
}

// closeGroups removes the host's own directories, when its tasks have ended.
func (h *Host) closeGroups() {
	if h.groups.tree == nil {
		return
	}
	if err := h.groups.tree.Close(); err != nil {
		h.log.Error("removing the cgroups of this host", "error", err)
	}
}

// group is that of the task to start. Local clusters know theirs by the allocation's ID, which the name begins with.
func (s *start) group() (native.Group, error) {
	if s.host.groups.absent != nil {
		return native.Group{}, fmt.Errorf("native functions can't run on this node, which can't limit their memory and threads; "+
			"use runtime = \"wasm\" here: %w", s.host.groups.absent)
	}
	return native.Group{Tree: s.host.groups.tree, Name: groupName(s.request), Ready: s.request.CgroupPath}, nil
}

// groupName tells the tasks of one host from each other.
func groupName(r control.StartRequest) string {
	name := r.AllocID + "." + strings.TrimPrefix(r.TaskID, r.AllocID+"/")
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.':
			return c
		}
		return '_'
	}, name)
}
