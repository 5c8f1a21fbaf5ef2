package native

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"countersign/host/native/cgroup"
	"countersign/host/runtime/limits"
)

// Group is where the cgroup of an instance is made: Tree.Make says what its parts mean. Without a tree it is one of this
// process, and the name is chosen.
type Group struct {
	Tree  *cgroup.Tree
	Name  string
	Ready string
}

// own is the tree of this process for instances that name none. Process IDs are those of one PID namespace.
var own = sync.OnceValues(func() (*cgroup.Tree, error) {
	owner, err := cgroup.OwnerOf("/proc/self/ns/pid", strconv.Itoa(os.Getpid()))
	if err != nil {
		return nil, err
	}
	tree, err := cgroup.Open(owner)
	if err != nil {
		return nil, err
	}
	// What can't be removed takes nothing from what is made.
	_ = tree.Sweep(func(pid string) bool {
		_, err := os.Stat("/proc/" + pid)
		return err == nil
	})
	return tree, nil
})

var nextName atomic.Int64

// makeGroup makes the instance's cgroup.
func (i *Instance) makeGroup() (err error) {
	g := i.options.Group
	if g.Tree == nil {
		if g.Tree, err = own(); err != nil {
			return &UnsupportedError{"cgroups", err.Error()}
		}
		g.Name = fmt.Sprintf("%d.%s", nextName.Add(1), i.options.Function)
	}
	i.group, err = g.Tree.Make(g.Name, g.Ready, cgroup.Limits{Memory: i.options.Memory, Tasks: limits.Threads()})
	if err != nil {
		return &UnsupportedError{"cgroups", err.Error()}
	}
	i.tree = g.Tree
	return nil
}
