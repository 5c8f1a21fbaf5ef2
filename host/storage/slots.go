package storage

import (
	"time"

	"golang.org/x/sys/unix"
)

// atOnce is how many operations on one directory are under way at most. Each keeps a thread of the host for as long as the
// disk takes; a disk that does not answer must not use up those that others need.
const atOnce = 64

// slotWait is how long an operation waits for others on the same directory before it fails. Tests exchange it.
var slotWait = 30 * time.Second

// begin waits until one more operation may be under way.
func (k *disk) begin() error {
	select {
	case k.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(slotWait)
	defer timer.Stop()
	select {
	case k.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return unix.EIO
	}
}

func (k *disk) done() { <-k.slots }
