package host

import (
	"context"
	"strings"
	"sync"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/runtime"
	"countersign/telemetry"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

// task is one allocation of a function: the callee of inbound calls and the caller of outbound ones.
type task struct {
	host    *Host
	request control.StartRequest
	spec    *hclspec.Function
	svid    identity.ID // the function's SPIFFE ID

	runtime  runtime.Instance
	identity *issue.Renewer
	logs     []*logFile
	served   *telemetry.Served // counts its calls

	mu     sync.Mutex
	status control.Status
	calls  int           // accepted and not yet answered
	idle   chan struct{} // closed when stopping and calls is 0
	ended  chan struct{} // closed when status.State is Exited
}

// ID implements router.Instance.
func (t *task) ID() string { return t.request.AllocID }

// Function implements router.Instance.
func (t *task) Function() string { return t.request.Function }

// InFlight implements router.Instance.
func (t *task) InFlight() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// Status returns a copy of the task's status.
func (t *task) Status() control.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// release is that of what the task runs.
func (t *task) release() string {
	_, digest, _ := strings.Cut(t.request.Artifact, "@")
	return countersign.ReleaseID(digest)
}

// running tells whether the task can be called.
func (t *task) running() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.idle == nil && t.status.State == control.Running
}

// begin accepts a call unless the task is stopping.
func (t *task) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle != nil || t.status.State == control.Exited {
		return countersign.Errorf(countersign.CodeUnavailable, t.Function(), "the instance is stopping")
	}
	t.calls++
	return nil
}

func (t *task) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls--
	if t.calls == 0 && t.idle != nil {
		close(t.idle)
	}
}

// drain refuses new calls and waits until those running have ended or ctx is done.
func (t *task) drain(ctx context.Context) {
	t.mu.Lock()
	if t.idle == nil {
		t.idle = make(chan struct{})
		if t.calls == 0 {
			close(t.idle)
		}
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// stop ends the task: no new calls, those running get until ctx is done, then the runtime ends them. It is safe to
// call it more than once; every call returns after the task has ended.
func (t *task) stop(ctx context.Context) {
	t.host.router.Remove(t)
	t.drain(ctx)
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
	t.host.sessions.forget(t.ID())
	t.host.unwant(t)
	if err := t.runtime.Close(ctx); err != nil {
		t.host.log.Warn("closing a function's runtime", "function", t.Function(), "allocation", t.ID(), "error", err)
	}
	t.identity.Stop()
	for _, l := range t.logs {
		l.Close()
	}
}
