package native

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"countersign"

	"golang.org/x/sys/unix"
)

const (
	watchBusy = 20 * time.Millisecond  // between two looks at the memory of a process that runs calls
	watchIdle = 500 * time.Millisecond // and of one that runs none
	clockTick = 10 * time.Millisecond  // unit of CPU time in /proc/PID/stat: USER_HZ is 100 on every Linux
)

// usage is what one process has used.
type usage struct {
	mu     sync.Mutex
	cpu    time.Duration
	memory int64
	peak   int64
}

func (u *usage) set(cpu time.Duration, memory int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cpu, u.memory, u.peak = max(u.cpu, cpu), memory, max(u.peak, memory)
}

// end takes the exact CPU time of a process that has ended.
func (u *usage) end(state *os.ProcessState) {
	u.set(state.UserTime()+state.SystemTime(), 0)
}

func (u *usage) get() (cpu time.Duration, memory, peak int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cpu, u.memory, u.peak
}

// watch looks at the process until it ends, and ends it when it uses more memory than it may. A call that comes to an idle
// process is not left alone for the rest of the idle time: it can take hundreds of megabytes in that.
func (p *process) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	idle := false
	for {
		select {
		case <-p.died:
			return
		case <-p.woken:
			if idle {
				idle = false
				timer.Reset(watchBusy)
			}
			continue
		case <-timer.C:
		}
		// Files of a process that has just ended are missing, or can't be read any more.
		if err := p.measure(); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			p.breach("its use of memory can't be read: %v", err)
		}
		idle = !p.busy()
		if idle {
			timer.Reset(watchIdle)
		} else {
			timer.Reset(watchBusy)
		}
	}
}

// wake tells watch that a call has begun. It does not wait.
func (p *process) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// measure reads CPU time and memory, and holds the process to its limit.
func (p *process) measure() error {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	cpu, err := processCPU(dir + "stat")
	if err != nil {
		return err
	}
	memory, err := processMemory(dir + "status")
	if err != nil {
		return err
	}
	p.usage.set(cpu, memory)
	if memory > p.owner.options.Memory {
		p.kill(countersign.CodeOutOfMemory)
	}
	return nil
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

// processMemory reads the memory that is the process's own: anonymous pages, resident or swapped out.
func processMemory(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("reading memory: %w", err)
	}
	var total int64
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "RssAnon", "VmSwap":
			number, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
			n, err := strconv.ParseInt(string(number), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading memory: %w", err)
			}
			total += n << 10
		}
	}
	return total, nil
}
