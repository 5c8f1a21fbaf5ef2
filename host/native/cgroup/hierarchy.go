package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The controllers without which nothing is confined.
const (
	memoryController = "memory"
	tasksController  = "pids"
)

// UnsupportedError says why processes can't be confined on this machine, and what its operator can do.
type UnsupportedError struct {
	Detail string
	Err    error // may be nil
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	text := e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// Unrunnable marks what will not change by trying again: see runtime.Unrunnable.
func (e *UnsupportedError) Unrunnable() {}

// hierarchy is a mounted tree of groups.
type hierarchy struct {
	mount string
	v2    bool
}

// hierarchies tells where the two controllers are. Both can be in one hierarchy, as they always are in version 2.
type hierarchies struct{ memory, tasks hierarchy }

// distinct returns each hierarchy once.
func (h hierarchies) distinct() []hierarchy {
	return slices.Compact([]hierarchy{h.memory, h.tasks})
}

// controllers returns those of the two that a hierarchy has.
func (h hierarchies) controllers(of hierarchy) []string {
	var names []string
	if h.memory == of {
		names = append(names, memoryController)
	}
	if h.tasks == of {
		names = append(names, tasksController)
	}
	return names
}

// find looks for both controllers in the mounts of a process (proc_pid_mountinfo(5)).
func find(mountinfo string) (hierarchies, error) {
	var h hierarchies
	for line := range strings.Lines(mountinfo) {
		point, kind, options, ok := parseMount(line)
		if !ok {
			continue
		}
		found := hierarchy{mount: point, v2: kind == "cgroup2"}
		var has []string
		switch kind {
		case "cgroup":
			has = strings.Split(options, ",")
		case "cgroup2":
			// What version 1 has taken is missing here.
			text, err := os.ReadFile(filepath.Join(point, "cgroup.controllers"))
			if err != nil {
				continue // of a hierarchy that can't be read nothing can be used
			}
			has = strings.Fields(string(text))
		}
		if h.memory.mount == "" && slices.Contains(has, memoryController) {
			h.memory = found
		}
		if h.tasks.mount == "" && slices.Contains(has, tasksController) {
			h.tasks = found
		}
	}
	for name, place := range map[string]hierarchy{memoryController: h.memory, tasksController: h.tasks} {
		if place.mount == "" {
			return h, &UnsupportedError{Detail: fmt.Sprintf("the kernel's %s controller is in no mounted cgroup hierarchy: "+
				"mount cgroup2 at /sys/fs/cgroup, and don't disable the controller on the kernel's command line", name)}
		}
	}
	return h, nil
}

// parseMount takes the mount point, the type and the options of the file system from a line of mountinfo.
func parseMount(line string) (point, kind, options string, ok bool) {
	mount, system, ok := strings.Cut(strings.TrimSpace(line), " - ")
	left, right := strings.Fields(mount), strings.Fields(system)
	if !ok || len(left) < 6 || len(right) < 3 {
		return "", "", "", false
	}
	// Blanks and backslashes are written as octal numbers.
	point = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(left[4])
	return point, right[0], right[2], true
}

// Version tells which version of cgroups confines processes on this machine: "v1", "v2", or "mixed" if one controller is
// in each.
func Version() (string, error) {
	h, err := ofMachine()
	if err != nil {
		return "", err
	}
	for _, each := range h.distinct() {
		if err := unix.Access(each.mount, unix.W_OK); err != nil {
			return "", refused(each.mount, err)
		}
	}
	switch {
	case h.memory.v2 != h.tasks.v2:
		return "mixed", nil
	case h.memory.v2:
		return "v2", nil
	}
	return "v1", nil
}

func ofMachine() (hierarchies, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchies{}, &UnsupportedError{Detail: "looking for the cgroup hierarchies", Err: err}
	}
	return find(string(text))
}

// refused explains what the kernel did not let us do at a path.
func refused(path string, err error) error {
	detail := "using the cgroup " + path
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		detail += " is not permitted: the host must run as root, in a container with a cgroup file system of its own that can be written to"
	case errors.Is(err, unix.EBUSY):
		detail += " failed, since processes are in a group that is to have groups below it: with cgroup v2, move the " +
			"container's processes into a group of their own before Nomad starts"
	case errors.Is(err, fs.ErrNotExist):
		detail += " failed: a controller is not enabled for it; write \"+memory +pids\" to cgroup.subtree_control of the group above"
	}
	return &UnsupportedError{Detail: detail, Err: err}
}
