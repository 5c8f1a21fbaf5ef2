package nomad

import (
	"context"
	"fmt"
	"time"

	"countersign/pipeline/failure"
)

// Remove takes the job of a function away, and waits until none of its allocations runs. Calls that run end as in a stop.
// It tells whether there was such a job.
func (c *Cluster) Remove(ctx context.Context, function string, tell func(string)) (existed bool, err error) {
	job, _, err := c.registered(ctx, function)
	if err != nil {
		return false, err
	}
	if job != nil {
		if _, _, err := c.client.Jobs().Deregister(function, true, write(ctx)); err != nil {
			return true, fmt.Errorf("take job %q away: %w", function, c.wrap(err))
		}
	}
	for {
		n, err := c.aliveAtAll(ctx, function)
		switch {
		case err != nil && !failure.IsUnreachable(err):
			return job != nil, err
		case err != nil:
			tell("Nomad can't be reached; trying again")
		case n == 0:
			return job != nil, nil
		default:
			tell(fmt.Sprintf("%d allocations end their calls", n))
		}
		select {
		case <-ctx.Done():
			return job != nil, &InterruptedError{Function: function, Err: context.Cause(ctx)}
		case <-time.After(pollInterval):
		}
	}
}

// aliveAtAll counts the allocations of any version of a job that have not ended.
func (c *Cluster) aliveAtAll(ctx context.Context, function string) (n int, err error) {
	allocations, _, err := c.client.Jobs().Allocations(function, true, query(ctx))
	if err != nil {
		return 0, fmt.Errorf("read the allocations of job %q: %w", function, c.wrap(err))
	}
	for _, a := range allocations {
		if isAlive(a) {
			n++
		}
	}
	return n, nil
}
