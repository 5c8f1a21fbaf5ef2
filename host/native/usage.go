package native

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"countersign/host/runtime"
)

// clockTick is the unit of CPU time in /proc/PID/stat: USER_HZ is 100 on every Linux.
const clockTick = 10 * time.Millisecond

// Usage implements runtime.Instance. Memory is what the kernel counts for the process and what the host holds for the
// function.
func (i *Instance) Usage() runtime.Usage {
	u := i.calls.Usage()
	u.MemoryBytes, u.MemoryMax = i.seen()
	u.DroppedOutput = i.stdout.Dropped() + i.stderr.Dropped()
	i.mu.Lock()
	defer i.mu.Unlock()
	u.CPU = i.past
	if i.current != nil {
		u.CPU += i.current.cpuTime()
		u.Sandboxes = 1
	}
	return u
}

// seen looks at the memory that is in use now, and returns it with the most that ever was.
func (i *Instance) seen() (now, most int64) {
	u, err := i.group.Usage()
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil { // else the group is gone, and with it all that was held
		now = u.Memory + i.held.Used()
		i.most = max(i.most, now, u.Peak)
	}
	return now, i.most
}

// cpuTime returns the CPU time of a process that runs; the owner's mu is held.
func (p *process) cpuTime() time.Duration {
	cpu, err := processCPU(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err == nil { // else it has just ended, and will tell by itself
		p.cpu = max(p.cpu, cpu)
	}
	return p.cpu
}

// processCPU reads user and system time (proc_pid_stat(5), fields 14 and 15).
func processCPU(file string) (time.Duration, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s has %d fields after the name", file, len(fields))
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}
