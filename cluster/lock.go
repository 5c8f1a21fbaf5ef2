package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"countersign/terminal"
)

// lockTime is how long one command waits for another to be done with the directory.
const lockTime = 90 * time.Second

// lock makes sure that only one process changes the cluster. The lock ends with the process.
func (d dir) lock(ctx context.Context, log *terminal.Log) (unlock func(), err error) {
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return nil, fmt.Errorf("cluster directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	return lockFile(ctx, d.path("lock"), func() { log.Printf("waiting: another command works on %s", d.root) })
}

// lockFile locks a file, which it makes if there is none. It calls waiting, unless nil, once when it has to wait.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s is held by another command, which does not end: %w", path, err)
		}
	}
}
