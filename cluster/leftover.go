package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"
)

// Leftover is what of a cluster is still on the machine besides its directory.
type Leftover struct {
	Processes []int    `json:"processes,omitempty"`
	Mounts    []string `json:"mounts,omitempty"`
	Cgroups   []string `json:"cgroups,omitempty"`
}

// None tells whether nothing is left.
func (l Leftover) None() bool { return len(l.Processes)+len(l.Mounts)+len(l.Cgroups) == 0 }

// findLeftover looks for what a cluster has on the machine: running or left over.
func findLeftover(d dir, s *state) (Leftover, error) {
	mounts, err := readMounts()
	if err != nil {
		return Leftover{}, err
	}
	l := Leftover{Mounts: below(mounts, d.root), Cgroups: d.cgroups(mounts, s)}
	l.Processes, err = members(s, l.Cgroups)
	return l, err
}

// members returns the processes of a cluster: those that were started with its marker, those in its cgroups, and the
// descendants of both. A task may have been started with an environment of its own, and left its cgroup.
func members(s *state, cgroups []string) ([]int, error) {
	return membersOf(s, nil, cgroups)
}

// membersOf is members for one node, which the group of its processes tells, or for all if node is nil.
func membersOf(s *state, node *int, cgroups []string) ([]int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	inCgroup := cgroupProcesses(cgroups)
	member := map[int]bool{}
	for _, p := range all {
		if inCgroup[p.pid] || hasMarker(p.pid, s.marker()) && (node == nil || s.runs(*node, p.pid)) {
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
// meanwhile. It remembers whom it found, since an orphan may be known by its parent alone.
func endMembers(ctx context.Context, d dir, s *state) error {
	deadline := time.Now().Add(2 * stopGrace)
	kill := time.Now().Add(stopGrace / 2)
	told := map[record]bool{}
	for {
		l, err := findLeftover(d, s)
		if err != nil {
			return err
		}
		for _, pid := range l.Processes {
			p, err := readProc(pid)
			if err != nil {
				continue
			}
			if r := (record{PID: pid, StartTick: p.startTick, BootID: bootID()}); !told[r] {
				told[r] = true
				r.signal(syscall.SIGTERM)
			}
		}
		maps.DeleteFunc(told, func(r record, _ bool) bool { return !r.alive() })
		if len(told) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of the cluster do not end, not even by SIGKILL", pids(told))
		}
		if time.Now().After(kill) || ctx.Err() != nil {
			for r := range told {
				r.signal(syscall.SIGKILL)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// pids returns the process IDs of records, sorted.
func pids(records map[record]bool) (list []int) {
	for r := range records {
		list = append(list, r.PID)
	}
	slices.Sort(list)
	return list
}
