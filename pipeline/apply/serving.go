package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign"
	"countersign/pipeline/hosts"
	"countersign/pipeline/nomad"
	"countersign/vaultsign/identity"
)

// askAgain is how long to wait before Nomad, Consul and the hosts are asked again.
const askAgain = 100 * time.Millisecond

// Instances are what callers find of a function; *consul.Client has those that there are outside of tests.
type Instances interface {
	// Passing returns the addresses (host:port) of the allocations of a function that pass all their checks now, by the
	// allocations' IDs.
	Passing(ctx context.Context, function string) (map[string]string, error)
}

// Hosts are what runs allocations; a *hosts.Asker asks those that there are outside of tests.
type Hosts interface {
	// Answers returns nil if the instance's own host says, verifiably, that it can be called.
	Answers(ctx context.Context, i hosts.Instance) error
}

// serving waits until what was started serves: Nomad says that its allocations run, Consul that callers find them, and
// the host of each that it can be called. What was so a moment ago does not count: a host may have ended since, and
// neither Nomad nor Consul know it yet. It returns how many allocations there are.
func (e *Engine) serving(ctx context.Context, s *nomad.Started, tell func(string)) (int, error) {
	end := time.Now().Add(e.Timeout)
	for {
		allocations, err := e.Cluster.WaitHealthy(ctx, s, time.Until(end), tell)
		if err != nil {
			return 0, err
		}
		err = e.answering(ctx, s.Function, allocations)
		var refused *identity.CertificateError
		switch {
		case err == nil:
			return len(allocations), nil
		case errors.As(err, &refused):
			return 0, err
		case time.Now().After(end):
			return 0, &NotServingError{Function: s.Function, Timeout: e.Timeout, Err: err}
		}
		tell(err.Error())
		select {
		case <-ctx.Done():
			return 0, &nomad.InterruptedError{Function: s.Function, Err: context.Cause(ctx)}
		case <-time.After(askAgain):
		}
	}
}

// answering tells whether callers find all allocations, and their hosts answer for them.
func (e *Engine) answering(ctx context.Context, function string, allocations []string) error {
	passing, err := e.Instances.Passing(ctx, function)
	if err != nil {
		return err
	}
	for _, id := range allocations {
		address, ok := passing[id]
		if !ok {
			return fmt.Errorf("allocation %s does not pass its checks in Consul", countersign.Short(id))
		}
		if err := e.Hosts.Answers(ctx, hosts.Instance{Function: function, Allocation: id, Address: address}); err != nil {
			return err
		}
	}
	return nil
}

// NotServingError says that allocations run, as Nomad sees it, but that callers would not reach them.
type NotServingError struct {
	Function string
	Timeout  time.Duration
	Err      error // what was missing at last
}

// Error implements error.
func (e *NotServingError) Error() string {
	return fmt.Sprintf("function %q runs, but could not be called within %s: %v; `nomad alloc checks` and the Consul UI tell more",
		e.Function, e.Timeout, e.Err)
}

// Unwrap returns the cause.
func (e *NotServingError) Unwrap() error { return e.Err }
