package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"time"

	consul "github.com/hashicorp/consul/api"

	"countersign/hclspec"
	"countersign/pipeline/progress"
)

// LockKey is the key in Consul's KV store that a running deploy holds.
const LockKey = "countersign/deploy-lock"

// lockTTL is how long the lock outlives a deploy that was killed: Consul takes up to twice as long to notice.
const lockTTL = 10 * time.Second

// LockHolder says who holds the deploy lock. It is the JSON value of LockKey.
type LockHolder struct {
	Who   string    `json:"who"`   // user@machine, process ID
	Since time.Time `json:"since"` // when the lock was taken
}

func (h LockHolder) String() string {
	return fmt.Sprintf("%s since %s", h.Who, h.Since.Local().Format(time.DateTime))
}

// Lock keeps deploys to one environment apart.
type Lock struct {
	lock   *consul.Lock
	cancel context.CancelCauseFunc
}

// errLockLost is the cause of a context that ends because the lock is gone.
var errLockLost = errors.New("the deploy lock in Consul was lost, so another deploy may run now; run this one again")

// TakeLock takes the deploy lock, waiting up to wait for another deploy to end. The returned context ends when the
// lock is lost. The error is a *ConflictError that names the holder if the lock stays taken.
func TakeLock(ctx context.Context, env hclspec.Consul, wait time.Duration) (context.Context, *Lock, error) {
	client, address, err := newConsul(env)
	if err != nil {
		return nil, nil, err
	}
	until := time.Now().Add(wait)
	if err := mayTry(ctx, client, wait); err != nil {
		return nil, nil, consulError(address, err)
	}
	for {
		lock, lost, err := tryLock(ctx, client)
		if err != nil {
			return nil, nil, fmt.Errorf("take the deploy lock %s: %w", LockKey, consulError(address, err))
		}
		if err := ctx.Err(); err != nil && lost == nil {
			return nil, nil, err
		}
		if lost != nil {
			held, cancel := context.WithCancelCause(ctx)
			go func() {
				select {
				case <-lost:
					cancel(errLockLost)
				case <-held.Done():
				}
			}()
			return held, &Lock{lock, cancel}, nil
		}
		if time.Now().After(until) {
			return nil, nil, conflict(ctx, client)
		}
	}
}

// withLock runs f as steps that hold the deploy lock.
func withLock(ctx context.Context, r *progress.Recorder, env hclspec.Consul, wait time.Duration,
	f func(context.Context) error) (err error) {
	var lock *Lock
	err = r.Step("", progress.StepLock, func(func(string)) (o progress.Outcome, err error) {
		ctx, lock, err = TakeLock(ctx, env, wait)
		return progress.Did("no other deploy runs"), err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), errLockLost) {
			err = errors.Join(errLockLost, err)
		}
		err = errors.Join(err, lock.Release())
	}()
	return f(ctx)
}

// mayTry asks Consul whether trying to lock makes sense: whether it answers, and whether the lock is free or may become
// free while we wait.
func mayTry(ctx context.Context, client *consul.Client, wait time.Duration) error {
	pair, _, err := client.KV().Get(LockKey, (&consul.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("read the deploy lock %s: %w", LockKey, err)
	}
	if pair != nil && pair.Session != "" && wait <= 0 {
		return conflict(ctx, client)
	}
	return nil
}

// tryLock tries for about a second. The returned channel is nil if somebody else has the lock.
func tryLock(ctx context.Context, client *consul.Client) (*consul.Lock, <-chan struct{}, error) {
	value, err := json.Marshal(LockHolder{Who: whoami(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return nil, nil, err
	}
	lock, err := client.LockOpts(&consul.LockOptions{
		Key: LockKey, Value: value, SessionName: "countersign deploy by " + whoami(),
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
func conflict(ctx context.Context, client *consul.Client) error {
	e := &ConflictError{
		What: "another deploy is running",
		Advice: fmt.Sprintf("-wait 5m waits for it to end (if it was killed, its lock ends by itself within %s)",
			2*lockTTL+time.Second),
	}
	pair, _, err := client.KV().Get(LockKey, (&consul.QueryOptions{}).WithContext(ctx))
	var holder LockHolder
	if err == nil && pair != nil && json.Unmarshal(pair.Value, &holder) == nil && holder.Who != "" {
		e.Holder = holder.String()
	}
	return e
}

// Release gives the lock back.
func (l *Lock) Release() error {
	l.cancel(context.Canceled)
	if err := l.lock.Unlock(); err != nil && !errors.Is(err, consul.ErrLockNotHeld) {
		return fmt.Errorf("give the deploy lock back (it ends by itself within %s): %w", 2*lockTTL, err)
	}
	return nil
}

// whoami names this process for people.
func whoami() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s@%s (process %d)", name, host, os.Getpid())
}

// consulError tells an answer of Consul from a failure to reach it.
func consulError(address string, err error) error {
	var transport *url.Error
	var dial *net.OpError
	var status consul.StatusError
	switch {
	case errors.As(err, &status) && status.Code == 403:
		return fmt.Errorf("no permission; set CONSUL_HTTP_TOKEN to a token that may do this: %w", err)
	case errors.As(err, &transport) || errors.As(err, &dial):
		return &UnreachableError{Server: "Consul at " + address, Err: err}
	}
	return err
}
