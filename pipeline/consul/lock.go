package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/hashicorp/consul/api"

	"countersign/pipeline/failure"
)

// lockKey is the key in Consul's KV store that a running deploy holds.
const lockKey = "countersign/deploy-lock"

// lockTTL is how long the lock outlives a deploy that was killed: Consul takes up to twice as long to notice.
const lockTTL = 10 * time.Second

// lockHolder says who holds the deploy lock. It is the JSON value of lockKey.
type lockHolder struct {
	Who   string    `json:"who"`   // user@machine, process ID
	Since time.Time `json:"since"` // when the lock was taken
}

func (h lockHolder) String() string {
	return fmt.Sprintf("%s since %s", h.Who, h.Since.Local().Format(time.DateTime))
}

// Lock keeps deploys to one environment apart.
type Lock struct {
	lock   *api.Lock
	cancel context.CancelCauseFunc
}

// ErrLockLost is the cause of a context that ends because the lock is gone.
var ErrLockLost = errors.New("the deploy lock in Consul was lost, so another deploy may run now; run this one again")

// Lock takes the deploy lock, waiting up to wait for another deploy to end. The returned context ends when the
// lock is lost. The error is a *failure.ConflictError that names the holder if the lock stays taken.
func (c *Client) Lock(ctx context.Context, wait time.Duration) (context.Context, *Lock, error) {
	until := time.Now().Add(wait)
	if err := c.mayTry(ctx, wait); err != nil {
		return nil, nil, c.wrap(err)
	}
	for {
		lock, lost, err := c.tryLock(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("take the deploy lock %s: %w", lockKey, c.wrap(err))
		}
		if err := ctx.Err(); err != nil && lost == nil {
			return nil, nil, err
		}
		if lost != nil {
			held, cancel := context.WithCancelCause(ctx)
			go func() {
				select {
				case <-lost:
					cancel(ErrLockLost)
				case <-held.Done():
				}
			}()
			return held, &Lock{lock, cancel}, nil
		}
		if time.Now().After(until) {
			return nil, nil, c.conflict(ctx)
		}
	}
}

// mayTry asks Consul whether trying to lock makes sense: whether it answers, and whether the lock is free or may become
// free while we wait.
func (c *Client) mayTry(ctx context.Context, wait time.Duration) error {
	pair, _, err := c.api.KV().Get(lockKey, query(ctx))
	if err != nil {
		return fmt.Errorf("read the deploy lock %s: %w", lockKey, err)
	}
	if pair != nil && pair.Session != "" && wait <= 0 {
		return c.conflict(ctx)
	}
	return nil
}

// tryLock tries for about a second. The returned channel is nil if somebody else has the lock.
func (c *Client) tryLock(ctx context.Context) (*api.Lock, <-chan struct{}, error) {
	value, err := json.Marshal(lockHolder{Who: whoami(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return nil, nil, err
	}
	lock, err := c.api.LockOpts(&api.LockOptions{
		Key: lockKey, Value: value, SessionName: "countersign deploy by " + whoami(),
		SessionTTL: lockTTL.String(), LockDelay: time.Second,
		LockTryOnce: true, LockWaitTime: time.Second,
		MonitorRetries: 3, MonitorRetryTime: time.Second,
	})
	if err != nil {
		return nil, nil, err
	}
	lost, err := lock.Lock(ctx.Done())
	return lock, lost, err
}

// conflict names who holds the lock.
func (c *Client) conflict(ctx context.Context) error {
	e := &failure.ConflictError{
		What: "another deploy is running",
		Advice: fmt.Sprintf("-wait 5m waits for it to end (if it was killed, its lock ends by itself within %s)",
			2*lockTTL+time.Second),
	}
	pair, _, err := c.api.KV().Get(lockKey, query(ctx))
	var holder lockHolder
	if err == nil && pair != nil && json.Unmarshal(pair.Value, &holder) == nil && holder.Who != "" {
		e.Holder = holder.String()
	}
	return e
}

// Release gives the lock back.
func (l *Lock) Release() error {
	l.cancel(context.Canceled)
	if err := l.lock.Unlock(); err != nil && !errors.Is(err, api.ErrLockNotHeld) {
		return fmt.Errorf("give the deploy lock back (it ends by itself within %s): %w", 2*lockTTL, err)
	}
	return nil
}

// whoami names this process for people.
func whoami() string { return fmt.Sprintf("%s (process %d)", Here(), os.Getpid()) }

// Here names the user and the machine of this process for people.
func Here() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return name + "@" + host
}
