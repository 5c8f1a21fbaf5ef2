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
	return lockFile(ctx, d.path("lock"), unix.LOCK_EX, func() { log.Printf("waiting: another command works on %s", d.root) })
}

// lockFile locks a file, which it makes if there is none; how is LOCK_EX, or LOCK_SH for what several may do at the same
// time. It calls waiting, unless nil, once when it has to wait.
func lockFile(ctx context.Context, path string, how int, waiting func()) (unlock func(), err error) {
	for {
		if unlock, err := tryLock(path, how); unlock != nil || err != nil {
			return unlock, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("lock %s is held by another command, which does not end: %w", path, err)
		}
	}
}

// tryLock is lockFile without waiting: unlock is nil if the file is locked.
func tryLock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
