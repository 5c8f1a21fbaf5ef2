package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procInfo is what /proc/PID/stat tells: see proc_pid_stat(5).
type procInfo struct {
	pid, parent int
	state       byte   // Z and X are dead, T is stopped
	startTick   uint64 // clock ticks since boot: with the PID, it names a process for ever
}

func (p procInfo) dead() bool { return p.state == 'Z' || p.state == 'X' || p.state == 'x' }

// stopped tells whether a signal such as SIGSTOP keeps it from running.
func (p procInfo) stopped() bool { return p.state == 'T' }

// readProc reads a process; os.ErrNotExist if there is none.
func readProc(pid int) (procInfo, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		if errors.Is(err, errSearch) {
			err = os.ErrNotExist // it ended while it was being read
		}
		return procInfo{}, err
	}
	return parseStat(data)
}

// parseStat takes the fields after the command's name, which may hold spaces and parentheses.
func parseStat(data []byte) (procInfo, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return procInfo{}, fmt.Errorf("process status %.40q has no command", data)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data[:open])))
	if err != nil {
		return procInfo{}, fmt.Errorf("process status %.40q: %w", data, err)
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 {
		return procInfo{}, fmt.Errorf("process status of %d has %d fields after its command", pid, len(fields))
	}
	parent, err1 := strconv.Atoi(fields[1])
	tick, err2 := strconv.ParseUint(fields[19], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return procInfo{}, fmt.Errorf("process status of %d: %w", pid, err)
	}
	return procInfo{pid: pid, parent: parent, state: fields[0][0], startTick: tick}, nil
}

// residentBytes is the memory of a process that is in RAM.
func residentBytes(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, fmt.Errorf("memory of process %d: %.40q", pid, data)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// processes lists every living process.
func processes() ([]procInfo, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []procInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := readProc(pid); err == nil && !p.dead() {
			all = append(all, p)
		}
	}
	return all, nil
}

// hasMarker tells whether a process was started with the marker of a cluster in its environment. The environments of
// other users' processes can be read by root only; nobody else can start any.
func hasMarker(pid int, marker string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for kv := range bytes.SplitSeq(env, []byte{0}) {
		if string(kv) == marker {
			return true
		}
	}
	return false
}

// groupOf returns the effective group ID of a process: see proc_pid_status(5).
func groupOf(pid int) (uint32, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "Gid:" {
			gid, err := strconv.ParseUint(fields[2], 10, 32)
			return uint32(gid), err
		}
	}
	return 0, fmt.Errorf("process status of %d has no group", pid)
}

// bootID names the boot of the machine, since PIDs and start times repeat after it.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// cgroupProcesses lists the processes of the cgroups in and below the directories.
func cgroupProcesses(roots []string) map[int]bool {
	pids := map[int]bool{}
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.Name() != "cgroup.procs" {
				return nil // a cgroup that goes away while it is read is what is wanted
			}
			data, _ := os.ReadFile(path)
			for field := range strings.FieldsSeq(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					pids[pid] = true
				}
			}
			return nil
		})
	}
	return pids
}
