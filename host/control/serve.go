package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Serve answers on the control socket of the data directory dir until ctx ends, and returns nil then. One host serves a
// data directory: a second one waits a moment for the first to leave and then fails. The socket is dir/host.sock, mode
// 0600 in a directory of mode 0700, open to processes of the same user and of root.
func Serve(ctx context.Context, dir string, backend Backend) error {
	listener, release, err := listen(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	server := &http.Server{
		Handler:           newHandler(ctx, backend),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket of %s: %w", dir, err)
	}
	return nil
}

// StartTick returns when a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). PID and
// tick together name one process for ever; a process that has ended but was not waited for does not count.
func StartTick(pid int) (uint64, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("looking for process %d: %w", pid, err)
	}
	// The name in field 2 may hold spaces and parentheses; the fields are counted from its end.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("reading the state of process %d: %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d has ended: %w", pid, os.ErrProcessDone)
	}
	tick, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the start time of process %d: %w", pid, err)
	}
	return tick, nil
}
