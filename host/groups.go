package host

import (
	"fmt"
	"log/slog"
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
func openGroups(dataDir string, log *slog.Logger) groups {
	var g groups
	life, err := lifeOf(os.Getpid())
	if err == nil {
		var owner cgroup.Owner
		if owner, err = cgroup.OwnerOf(dataDir, life); err == nil {
			g.tree, err = cgroup.Open(owner)
		}
	}
	if err != nil {
		log.Warn("native functions can't run on this node", "error", err)
		return groups{absent: err}
	}
	if err := g.tree.Sweep(livesOn); err != nil {
		log.Error("what an earlier host left could not be removed", "error", err)
	}
	return g
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

// close removes the host's own directories, when its tasks have ended.
func (g groups) close() error {
	if g.tree == nil {
		return nil
	}
	return g.tree.Close()
}

// of is that of the task to start. Local clusters know theirs by the allocation's ID, which the name begins with.
func (g groups) of(r control.StartRequest) (native.Group, error) {
	if g.absent != nil {
		return native.Group{}, fmt.Errorf("native functions can't run on this node, which can't limit their memory and threads; "+
			"use runtime = \"wasm\" here: %w", g.absent)
	}
	return native.Group{Tree: g.tree, Name: groupName(r), Ready: r.CgroupPath}, nil
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
