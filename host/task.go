package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/network"
	"countersign/host/runtime"
	"countersign/host/storage"
	"countersign/vaultsign/identity/issue"
)

// task is one allocation of a function as Nomad sees it: it is started, has a status, and ends. What calls see of it is
// its instance.
type task struct {
	request  control.StartRequest
	spec     *hclspec.Function
	instance *calls.Instance

	runtime  runtime.Instance
	identity *issue.Renewer
	attested *attested // nil in tests that admit nothing
	logs     []*logFile
	volumes  []*storage.Volume
	network  *network.Tags // nil: it has none

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

// exit makes the task one that has exited, and tells whether it was none before.
func (t *task) exit() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.State == control.Exited {
		return false
	}
	t.status.State, t.status.EndedAt = control.Exited, time.Now()
	return true
}

// giveBack returns what the task holds. Calls that still run when ctx is done are ended. The error is the runtime's.
func (t *task) giveBack(ctx context.Context) error {
	err := t.runtime.Close(ctx)
	t.identity.Stop()
	err = errors.Join(err, t.closeTags())
	for _, l := range t.logs {
		l.Close()
	}
	return err
}

// closeTags gives back the directories of the storage tags, and ends the connections of the network tags. No sandbox may be
// there any more.
func (t *task) closeTags() (err error) {
	if t.network != nil {
		t.network.Close()
	}
	for _, v := range t.volumes {
		err = errors.Join(err, v.Close())
	}
	t.volumes = nil
	return err
}

// stats dates what the task has used.
func (t *task) stats() control.Stats {
	u := t.runtime.Usage()
	return control.Stats{Time: time.Now(), CPU: u.CPU, MemoryBytes: u.MemoryBytes, MemoryMax: u.MemoryMax,
		Sandboxes: u.Sandboxes, InFlight: u.InFlight, Calls: u.Calls, Failures: u.Failures}
}
