package host

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"countersign/artifact"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/ingress"
	"countersign/host/storage"
	"countersign/host/wasm"
	"countersign/router/catalog"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity/issue"
	"countersign/vaultsign/keyring"
)

// idleTime is how long a host without tasks waits for a new one before it ends.
const idleTime = 2 * time.Minute

// replayEntries is how many calls a host remembers per generation, so that none is executed twice: 50,000 calls a second
// from other hosts and outside. Memory is taken as they come, about 40 bytes each.
const replayEntries = 1 << 22

// startTime is how long a start may take, from logging in to the first sandbox: a large module takes a minute or two to
// compile on a node with nothing to spare.
const startTime = 5 * time.Minute

// Host runs the functions of one node. It implements control.Backend.
type Host struct {
	ctx    context.Context // ends when the host stops
	cancel context.CancelFunc
	config control.HostConfig
	info   control.Info
	log    *slog.Logger

	trust  *issue.TrustStore
	cache  *artifact.Cache
	engine *wasm.Engine
	rings  *keyring.Store
	events events
	groups groups
	disks  storage.Disks

	services services

	calls     *calls.Node
	catalog   *catalog.Watcher     // nil without Consul
	functions atomic.Int64         // that Consul knows
	replay    *callsig.ReplayCache // of calls from outside
	linked    *callsig.ReplayCache // of calls from other hosts
	telemetry *telemetry.Telemetry

	mu    sync.Mutex
	tasks map[string]*task // by task ID
	idle  *time.Timer

	startTime time.Duration // see the constant
}

// New prepares a host below config.DataDir. Nothing runs and nothing is asked over the network yet.
func New(ctx context.Context, config control.HostConfig, log *slog.Logger) (*Host, error) {
	h := &Host{config: config, log: log, tasks: map[string]*task{}, startTime: startTime}
	h.ctx, h.cancel = context.WithCancel(ctx)
	if err := control.MakeDataDir(config.DataDir); err != nil {
		return nil, err
	}
	var err error
	if err = h.remember(); err != nil {
		return nil, err
	}
	if h.cache, err = artifact.NewCache(filepath.Join(config.DataDir, "artifacts")); err != nil {
		return nil, err
	}
	if h.engine, err = wasm.NewEngine(filepath.Join(config.DataDir, "compiled")); err != nil {
		return nil, err
	}
	if h.rings, err = keyring.NewStore(filepath.Join(config.DataDir, "keyrings")); err != nil {
		return nil, err
	}
	if h.trust, err = issue.OpenTrust(h.vault(), config.TrustDomain, filepath.Join(config.DataDir, "trust.pem")); err != nil {
		return nil, err
	}
	h.trust.Changed = h.renewUntrusted
	if err := h.observe(); err != nil {
		return nil, err
	}
	h.calls = calls.New(calls.Config{TrustDomain: config.TrustDomain, Bind: config.Bind, Trust: h.trust.Bundle, Replay: h.linked,
		Telemetry: h.telemetry, Log: log})
	if err := h.watch(); err != nil {
		return nil, err
	}
	h.groups = openGroups(config.DataDir, log)
	h.idle = time.AfterFunc(idleTime, h.cancel)
	return h, nil
}

// remember prepares the memory of calls. It must be asked before the data directory is filled: that is how a host whose
// directory is new is told from one whose predecessor left no horizon, and may have accepted any call.
func (h *Host) remember() error {
	now := time.Now()
	kept, err := openHorizon(h.config.DataDir, now)
	if err != nil {
		return err
	}
	h.replay = callsig.ResumeReplayCache(replayEntries, now, kept)
	// On a link nobody but the caller's own host can bring a call again, which can sign another one as well.
	h.linked = callsig.ResumeReplayCache(replayEntries, now, nil)
	return nil
}

// Info implements control.Backend.
func (h *Host) Info() control.Info { return h.info }

// newIngress prepares the host's port.
func (h *Host) newIngress() (*ingress.Server, error) {
	return ingress.New(ingress.Config{Ingress: h.config.Ingress, Node: h.calls, TrustDomain: h.config.TrustDomain,
		Bind: h.config.Bind, Trust: h.trust.Bundle, Replay: h.replay, Telemetry: h.telemetry, Log: h.log})
}

// listen opens the call listener and notes its address in Info.
func (h *Host) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(h.config.Bind, fmt.Sprint(h.config.Port)))
	if err != nil {
		return nil, fmt.Errorf("opening the call listener: %w; set `bind` and `port` in the driver's plugin block", err)
	}
	a := l.Addr().(*net.TCPAddr)
	h.info.Address, h.info.Port = a.IP.String(), a.Port
	return l, nil
}

// Status implements control.Backend.
func (h *Host) Status(id string) (control.Status, bool) {
	if t := h.task(id); t != nil {
		return t.Status(), true
	}
	return control.Status{}, false
}

// List implements control.Backend.
func (h *Host) List() []control.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]control.Status, 0, len(h.tasks))
	for _, t := range h.tasks {
		list = append(list, t.Status())
	}
	return list
}

// Wait implements control.Backend.
func (h *Host) Wait(ctx context.Context, id string) (control.Status, error) {
	t := h.task(id)
	if t == nil {
		return control.Status{}, fmt.Errorf("waiting for task %s: %w", id, control.ErrUnknownTask)
	}
	select {
	case <-t.ended:
		return t.Status(), nil
	case <-ctx.Done():
		return control.Status{}, ctx.Err()
	}
}

// Stats implements control.Backend.
func (h *Host) Stats(id string) (control.Stats, bool) {
	if t := h.task(id); t != nil {
		return t.stats(), true
	}
	return control.Stats{}, false
}

// Forget implements control.Backend.
func (h *Host) Forget(id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tasks[id]
	if t == nil {
		return nil
	}
	if t.Status().State != control.Exited {
		return fmt.Errorf("task %s is running: stop it before it is forgotten", id)
	}
	delete(h.tasks, id)
	h.calls.Forget(t.instance)
	if len(h.tasks) == 0 {
		h.idle.Reset(idleTime)
	}
	return nil
}

// Subscribe implements control.Backend.
func (h *Host) Subscribe() (<-chan control.Event, func()) { return h.events.subscribe() }

func (h *Host) task(id string) *task {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tasks[id]
}
