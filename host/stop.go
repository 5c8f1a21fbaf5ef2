package host

import (
	"context"
	"fmt"
	"sync"
	"time"

	"countersign/host/control"
)

// Stop implements control.Backend: calls that are running get up to timeout to end.
func (h *Host) Stop(ctx context.Context, id string, timeout time.Duration) error {
	t := h.task(id)
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	h.end(ctx, t)
	return nil
}

// Signal implements control.Backend. SIGHUP renews the call certificate, and reads the public keys and the trust bundle anew; SIGTERM and
// SIGINT stop the task once the calls that are running have ended.
func (h *Host) Signal(id, signal string) error {
	t := h.task(id)
	if t == nil {
		return fmt.Errorf("signalling task %s: %w", id, control.ErrUnknownTask)
	}
	switch signal {
	case "SIGHUP":
		h.trust.Soon()
		t.identity.Renew()
		return nil
	case "SIGTERM", "SIGINT":
		go func() {
			ctx, cancel := context.WithTimeout(h.ctx, t.spec.Call.Timeout)
			defer cancel()
			h.end(ctx, t)
		}()
		return nil
	}
	return fmt.Errorf("functions take SIGHUP (renew the call certificate), SIGTERM and SIGINT (stop), not %s", signal)
}

// end ends a task: no new calls, those running get until ctx is done, then the runtime ends them. It is safe to call it
// more than once; every call returns after the task has ended.
func (h *Host) end(ctx context.Context, t *task) {
	h.calls.Drain(ctx, t.instance)
	if !t.exit() {
		<-t.ended
		return
	}
	h.calls.End(t.instance)
	h.unwant(t.spec.Calls)
	if err := t.giveBack(ctx); err != nil {
		h.log.Warn("closing a function's runtime", "function", t.request.Function, "allocation", t.request.AllocID, "error", err)
	}
	close(t.ended)
}

// stopAll ends every task at once, and then removes what is left; used when the host stops.
func (h *Host) stopAll() {
	h.mu.Lock()
	tasks := make([]*task, 0, len(h.tasks))
	for _, t := range h.tasks {
		tasks = append(tasks, t)
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Go(func() { h.end(ctx, t) })
	}
	wg.Wait()
	if err := h.groups.close(); err != nil {
		h.log.Error("removing the cgroups of this host", "error", err)
	}
}
