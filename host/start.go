package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"runtime/debug"
	"time"

	"countersign"
	"countersign/artifact"
	"countersign/hclspec"
	"countersign/host/allocdir"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/native"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/wasm"
	"countersign/interfaces"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
	"countersign/vaultsign/keyring"
)

// start is one start in the making: the steps of Start fill it in, in order.
type start struct {
	host    *Host
	request control.StartRequest
	svid    identity.ID
	events  []control.Event

	login    *issue.Login // the allocation's Vault token
	loaded   *artifact.Loaded
	attested *attest.Attestation
	standing *attested       // of what was admitted
	ring     keyring.KeyRing // that it was verified with
	spec     *hclspec.Function
	face     *interfaces.Document
	renewer  *issue.Renewer
	task     *task
	wants    bool // the routes to what the task calls are followed
}

// Start implements control.Backend: log in as the allocation, admit the artifact, get a call identity, load the
// runtime, and only then become callable. A start that fails leaves nothing behind.
func (h *Host) Start(ctx context.Context, request control.StartRequest) (reply control.StartReply, err error) {
	if t := h.task(request.TaskID); t != nil && t.Status().State == control.Running {
		return control.StartReply{Address: h.info.Address, Port: h.info.Port}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.startTime, fmt.Errorf("it was not done after %v", h.startTime))
	defer cancel()
	s := &start{host: h, request: request}
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("a start panicked", "function", request.Function, "panic", p, "stack", string(debug.Stack()))
			err = &control.Failure{Kind: control.Internal, Message: "the host failed while starting the function; see its log"}
		}
		if err != nil {
			s.undo()
		}
		if s.login != nil {
			// The token did its work. It also ends by itself, soon.
			if err := s.login.Close(context.WithoutCancel(ctx)); err != nil {
				h.log.Debug("revoking a start's Vault token", "function", request.Function, "error", err)
			}
		}
	}()
	for _, step := range []func(context.Context) error{s.logIn, s.admit, s.identify, s.load, s.want} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("the start was given up: %w: %w", context.Cause(ctx), err)
			}
			return control.StartReply{}, s.failure(err)
		}
	}
	s.publish()
	return control.StartReply{Address: h.info.Address, Port: h.info.Port, Events: s.events}, nil
}

// load makes the task with its runtime; it is not callable yet.
func (s *start) load(ctx context.Context) error {
	t := &task{request: s.request, spec: s.spec, identity: s.renewer, attested: s.standing, ended: make(chan struct{})}
	t.instance = s.host.calls.Prepare(calls.InstanceConfig{Allocation: s.request.AllocID, Artifact: s.request.Artifact,
		Spec: s.spec, SVID: s.svid, Identity: s.renewer.Current, Interface: s.face})
	s.task = t
	var out, errs io.Writer
	for path, w := range map[string]*io.Writer{s.request.StdoutPath: &out, s.request.StderrPath: &errs} {
		l, err := openLog(allocdir.Dir(s.request.AllocDir), path)
		if err != nil {
			return err
		}
		t.logs, *w = append(t.logs, l), l
	}
	began := time.Now()
	var err error
	if t.runtime, err = s.instance(ctx, out, errs); err != nil {
		return fmt.Errorf("loading function %q: %w", s.request.Function, err)
	}
	s.event("Function loaded in %s", time.Since(began).Round(time.Millisecond))
	return nil
}

// instance loads the verified artifact into the runtime that its spec names.
func (s *start) instance(ctx context.Context, stdout, stderr io.Writer) (runtime.Instance, error) {
	o := runtime.Options{Function: s.spec.Name, Stdout: stdout, Stderr: stderr, Caller: s.task.instance,
		Limits: limits.Limits{Memory: s.spec.Resources.Memory, Concurrency: s.spec.Resources.Concurrency,
			MaxReply: s.spec.Call.MaxResponse}}
	var err error
	if o.Storage, err = s.bindStorage(); err != nil {
		return nil, err
	}
	if o.Network, err = s.bindNetwork(); err != nil {
		return nil, err
	}
	if s.spec.Runtime == hclspec.RuntimeNative {
		group, err := s.host.groups.of(s.request)
		if err != nil {
			return nil, err
		}
		return started(native.Start(s.loaded.Native[platform], native.Options{Options: o, Group: group}))
	}
	return started(s.host.engine.Load(ctx, s.loaded.Wasm,
		wasm.Options{Options: o, Prewarm: o.Ready(s.spec.Scaling.TargetConcurrency)}))
}

// platform is what native executables are chosen by, as in an artifact: linux/amd64 or linux/arm64.
const platform = goruntime.GOOS + "/" + goruntime.GOARCH

// started keeps an instance that is nil from looking like one.
func started[I runtime.Instance](in I, err error) (runtime.Instance, error) {
	if err != nil {
		return nil, err
	}
	return in, nil
}

// publish makes the task callable.
func (s *start) publish() {
	h, t := s.host, s.task
	t.status = control.Status{TaskID: s.request.TaskID, AllocID: s.request.AllocID, Function: s.request.Function,
		Artifact: s.request.Artifact, State: control.Running, StartedAt: time.Now(), Commit: s.attested.Commit,
		KeyID: s.attested.Key.String()}
	h.mu.Lock()
	h.tasks[s.request.TaskID] = t
	h.idle.Stop()
	h.mu.Unlock()
	h.calls.Add(t.instance, t.runtime)
	h.log.Info("function started", "function", s.request.Function, "allocation", s.request.AllocID, "artifact", s.request.Artifact,
		"commit", s.attested.Commit, "key", s.attested.Key.String())
	if s.standing.standing().behind() {
		go s.standing.look(h.ctx, s.ring) // the registry may have an attestation that this node has not cached
	}
}

// undo gives back what the steps took.
func (s *start) undo() {
	if s.renewer != nil {
		s.renewer.Stop()
	}
	if s.wants {
		s.host.unwant(s.spec.Calls)
	}
	if s.task == nil {
		return
	}
	if s.task.runtime != nil {
		done, cancel := context.WithCancel(context.Background())
		cancel() // nobody could call it
		if err := s.task.runtime.Close(done); err != nil {
			s.host.log.Warn("closing the runtime of a function that did not start", "function", s.request.Function, "error", err)
		}
	}
	if err := s.task.closeTags(); err != nil {
		s.host.log.Warn("closing the I/O tags of a function that did not start", "function", s.request.Function, "error", err)
	}
	for _, l := range s.task.logs {
		l.Close()
	}
}

func (s *start) event(format string, args ...any) {
	s.events = append(s.events, control.Event{TaskID: s.request.TaskID, Time: time.Now(), Message: fmt.Sprintf(format, args...)})
}

// failure tells the driver whether trying again can help.
func (s *start) failure(err error) *control.Failure {
	f := &control.Failure{Kind: control.Internal, Message: err.Error(), Events: s.events}
	var unreachable interface{ Unreachable() bool }
	var unrunnable runtime.Unrunnable
	var invalid *invalidError
	var tampered *allocdir.Error
	switch {
	case countersign.IsUnverified(err):
		f.Kind = control.Refused
	case errors.As(err, &unreachable) && unreachable.Unreachable():
		f.Kind = control.Unreachable
	case errors.As(err, &unrunnable), errors.As(err, &invalid), errors.As(err, &tampered):
		f.Kind = control.Invalid
	}
	s.host.log.Warn("start failed", "function", s.request.Function, "allocation", s.request.AllocID,
		"artifact", s.request.Artifact, "kind", f.Kind, "error", err)
	return f
}

// invalidError says that a request or a spec asks for what this host cannot do.
type invalidError struct{ msg string }

func (e *invalidError) Error() string { return e.msg }

func invalid(format string, args ...any) error { return &invalidError{fmt.Sprintf(format, args...)} }
