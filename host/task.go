package host

import (
	"context"
	"sync"
	"time"

	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/runtime"
	"countersign/vaultsign/identity/issue"
)

// task is one allocation of a function as Nomad sees it: it is started, has a status, and ends. What calls see of it is
// its instance.
type task struct {
	host     *Host
	request  control.StartRequest
	spec     *hclspec.Function
	instance *calls.Instance

	runtime  runtime.Instance
	identity *issue.Renewer
	logs     []*logFile

	mu     sync.Mutex
	status control.Status
	ended  chan struct{} // closed when status.State is Exited
}

// Status returns a copy of the task's status.
func (t *task) Status() control.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// stop ends the task: no new calls, those running get until ctx is done, then the runtime ends them. It is safe to
// call it more than once; every call returns after the task has ended.
func (t *task) stop(ctx context.Context) {
	t.host.calls.Drain(ctx, t.instance)
	t.mu.Lock()
	if t.status.State == control.Exited {
		t.mu.Unlock()
		<-t.ended
		return
	}
	t.status.State = control.Exited
	t.status.EndedAt = time.Now()
	t.mu.Unlock()
	t.giveBack(ctx)
	close(t.ended)
}

// giveBack returns what the task holds. Calls that still run when ctx is done are ended.
func (t *task) giveBack(ctx context.Context) {
	t.host.calls.End(t.instance)
	t.host.unwant(t.spec.Calls)
	if err := t.runtime.Close(ctx); err != nil {
		t.host.log.Warn("closing a function's runtime", "function", t.request.Function, "allocation", t.request.AllocID, "error", err)
	}
	t.identity.Stop()
	for _, l := range t.logs {
		l.Close()
	}
}
