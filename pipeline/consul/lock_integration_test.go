//go:build integration

package consul

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/pipeline/failure"
)

func TestLockOnConsul(t *testing.T) {
	client := realConsul(t)
	_, first, err := client.Lock(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var conflict *failure.ConflictError
	for _, wait := range []time.Duration{0, 1500 * time.Millisecond} {
		begin := time.Now()
		_, _, err := client.Lock(t.Context(), wait)
		if !errors.As(err, &conflict) || !strings.Contains(err.Error(), whoami()) {
			t.Fatalf("a second deploy that waits %s: %v; want a conflict that names the holder", wait, err)
		}
		if took := time.Since(begin); took < wait || took > wait+5*time.Second {
			t.Errorf("told to wait %s, it took %s", wait, took)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := client.Lock(stopped, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while waiting: %v", err)
	}
	released := make(chan error)
	go func() {
		time.Sleep(300 * time.Millisecond)
		released <- first.Release()
	}()
	held, second, err := client.Lock(t.Context(), 30*time.Second)
	if err != nil {
		t.Fatalf("waiting for the first to end: %v", err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	destroyLockSession(t, client)
	select {
	case <-held.Done():
		if !errors.Is(context.Cause(held), ErrLockLost) {
			t.Errorf("the deploy ended with %v, not because it lost its lock", context.Cause(held))
		}
	case <-time.After(20 * time.Second):
		t.Error("a deploy goes on without its lock")
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

// destroyLockSession does what Consul does to the lock of a deploy that was killed.
func destroyLockSession(t *testing.T, client *Client) {
	t.Helper()
	pair, _, err := client.api.KV().Get(lockKey, nil)
	if err != nil || pair == nil || pair.Session == "" {
		t.Fatalf("nobody holds the lock: %+v, %v", pair, err)
	}
	if _, err := client.api.Session().Destroy(pair.Session, nil); err != nil {
		t.Fatal(err)
	}
}
