package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of a group.
type Limits struct {
	Memory int64 // bytes: all that the kernel holds for what is in the group; nothing of it is swapped out
	Tasks  int   // threads of all processes together
}

// place is a group's directory in one hierarchy.
type place struct {
	dir string
	v2  bool
}

func (p place) file(name string) string { return filepath.Join(p.dir, name) }

// Group is a group of processes under limits. Its methods can be called at the same time.
type Group struct {
	limits        Limits
	memory, tasks place
	borrowed      bool // the directory is somebody else's to remove
}

// Usage is what a group uses and has used.
type Usage struct {
	Memory  int64 // bytes held now
	Peak    int64 // the most ever held
	OOMs    int64 // how often the kernel ended a process for want of memory
	Refused int64 // how often the limit of threads kept one from being started; 0 where the kernel does not tell
}

// setting is a value in a file of a group.
type setting struct {
	place
	name, value string
	optional    bool // the file is missing in kernels without the feature that it limits
}

// restrict sets the limits, and makes sure that they are those in force.
func (g *Group) restrict() error {
	settings := g.settingsV1()
	if g.memory.v2 {
		settings = g.settingsV2()
	}
	settings = append(settings, setting{g.tasks, "pids.max", strconv.Itoa(g.limits.Tasks), false})
	for _, s := range settings {
		err := write(s.file(s.name), s.value)
		if s.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return refused(s.file(s.name), err)
		}
	}
	limit := "memory.limit_in_bytes"
	if g.memory.v2 {
		limit = "memory.max"
	}
	return errors.Join(holds(g.memory.file(limit), g.limits.Memory), holds(g.tasks.file("pids.max"), int64(g.limits.Tasks)))
}

func (g *Group) settingsV1() []setting {
	bytes := strconv.FormatInt(g.limits.Memory, 10)
	return []setting{
		{g.memory, "memory.limit_in_bytes", bytes, false},
		{g.memory, "memory.memsw.limit_in_bytes", bytes, true}, // memory and swap together, not below the former
		{g.memory, "memory.swappiness", "0", false},
		{g.memory, "memory.oom_control", "0", false}, // end, don't freeze
	}
}

func (g *Group) settingsV2() []setting {
	return []setting{
		{g.memory, "memory.max", strconv.FormatInt(g.limits.Memory, 10), false},
		{g.memory, "memory.swap.max", "0", true},
		{g.memory, "memory.oom.group", "1", false},
	}
}

// holds makes sure that a limit is set. The kernel rounds one of memory down to whole pages.
func holds(file string, want int64) error {
	got, err := readNumber(file)
	if err == nil && got > want {
		err = fmt.Errorf("the limit is %d, not %d", got, want)
	}
	if err != nil {
		return refused(file, err)
	}
	return nil
}

// places returns each directory of the group once.
func (g *Group) places() []place {
	if g.memory == g.tasks {
		return []place{g.memory}
	}
	return []place{g.memory, g.tasks}
}

// Add puts a process with all its threads into the group, and makes sure that it is there. What it held before is not
// counted until it is given back; an execution gives back everything. The error is an *UnsupportedError, or
// os.ErrProcessDone.
func (g *Group) Add(pid int) error {
	for _, p := range g.places() {
		procs := p.file("cgroup.procs")
		err := write(procs, strconv.Itoa(pid))
		if errors.Is(err, unix.ESRCH) {
			return os.ErrProcessDone
		}
		if err != nil {
			return refused(procs, err)
		}
		in, err := pids(p)
		if err != nil {
			return refused(procs, err)
		}
		if !in[pid] {
			if ended(pid) {
				return os.ErrProcessDone
			}
			return &UnsupportedError{Detail: fmt.Sprintf("process %d is not in the cgroup %s, although it was put there", pid, p.dir)}
		}
	}
	return nil
}

// Usage tells what the group uses.
func (g *Group) Usage() (Usage, error) {
	current, peak, events := "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"
	if g.memory.v2 {
		current, peak, events = "memory.current", "memory.peak", "memory.events"
	}
	var u Usage
	var err error
	if u.Memory, err = readNumber(g.memory.file(current)); err != nil {
		return Usage{}, fmt.Errorf("reading the memory of a cgroup: %w", err)
	}
	if u.Peak, err = readNumber(g.memory.file(peak)); errors.Is(err, fs.ErrNotExist) {
		u.Peak, err = u.Memory, nil // before Linux 5.19
	}
	if err != nil {
		return Usage{}, fmt.Errorf("reading the most memory of a cgroup: %w", err)
	}
	if u.OOMs, err = readMember(g.memory.file(events), "oom_kill"); err != nil {
		return Usage{}, fmt.Errorf("reading how often a cgroup ran out of memory: %w", err)
	}
	if u.Refused, err = readMember(g.tasks.file("pids.events"), "max"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Usage{}, fmt.Errorf("reading how often a cgroup ran out of threads: %w", err)
	}
	return u, nil
}

// Kill ends everything that is in the group. It does not wait for the end.
func (g *Group) Kill() error {
	var errs []error
	for _, p := range g.places() {
		errs = append(errs, kill(p))
	}
	return errors.Join(errs...)
}

// Remove ends everything that is in the group and removes it, unless it is borrowed. It may be called more than once.
func (g *Group) Remove() error {
	var errs []error
	for _, p := range g.places() {
		switch {
		case p.dir == "": // it was not made
		case g.borrowed:
			errs = append(errs, empty(p))
		default:
			errs = append(errs, removeGroup(p))
		}
	}
	return errors.Join(errs...)
}

// write writes to a file of the kernel, which is not made if it is missing.
func write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// readNumber reads a file with one number, or with "max", which is the largest.
func readNumber(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return number(file, string(bytes.TrimSpace(text)))
}

// readMember reads one of the numbers of a file that has a name and a number in each line.
func readMember(file, member string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == member {
			return number(file, value)
		}
	}
	return 0, fmt.Errorf("%s has no line %q", file, member)
}

func number(file, text string) (int64, error) {
	if text == "max" {
		return math.MaxInt64, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", file, err)
	}
	return int64(min(n, math.MaxInt64)), nil
}
