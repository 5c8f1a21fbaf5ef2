package cluster

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"countersign/cluster/servers"
)

// Kill ends a process with SIGKILL and returns when it is gone. What it started goes on. The error is a *GoneError if
// it did not run.
func (e *Env) Kill(ctx context.Context, c Component) error {
	return e.signal(ctx, c, syscall.SIGKILL, func(r record) bool { return !r.alive() })
}

// Pause stops a process with SIGSTOP: its connections stay open, and nobody answers. Not what it started: see PauseNode.
func (e *Env) Pause(ctx context.Context, c Component) error {
	return e.signal(ctx, c, syscall.SIGSTOP, record.stopped)
}

// Resume lets a paused process go on.
func (e *Env) Resume(ctx context.Context, c Component) error {
	return e.signal(ctx, c, syscall.SIGCONT, func(r record) bool { return !r.stopped() })
}

// signal sends a signal to a process and waits until it shows.
func (e *Env) signal(ctx context.Context, c Component, sig syscall.Signal, done func(record) bool) error {
	d, s, err := e.state()
	if err != nil {
		return err
	}
	rec, err := d.process(s, c)
	if err != nil {
		return err
	}
	if !rec.signal(sig) {
		return &GoneError{c}
	}
	if err := until(ctx, func() (bool, error) { return done(rec), nil }); err != nil {
		return fmt.Errorf("%v of %s, process %d: %w", sig, c, rec.PID, err)
	}
	return nil
}

// Restart starts a killed process again, with the configuration that it had, and returns when it serves. One that runs
// is only waited for. The driver, not Restart, starts hosts: asking for one is an error.
func (e *Env) Restart(ctx context.Context, c Component) error {
	d, s, err := e.state()
	if err != nil {
		return err
	}
	name, err := s.name(c)
	if err != nil {
		return err
	}
	if c.Kind == Host {
		return fmt.Errorf("restart %s: the driver starts a host when Nomad places a function on the node", c)
	}
	unlock, err := d.lock(ctx, nil)
	if err != nil {
		return err
	}
	defer unlock()
	binaries, err := servers.EnsureAll(ctx, nil)
	if err != nil {
		return err
	}
	u := &bringUp{dir: d, state: s, binaries: binaries}
	for _, server := range s.servers() {
		if server.name != name {
			continue
		}
		rec, err := d.record(name)
		if err != nil {
			return err
		}
		if rec.alive() {
			return u.wait(ctx, server, nil)
		}
		if c.Kind == Nomad {
			unlock, err := lockCgroups(ctx)
			if err != nil {
				return err
			}
			defer unlock()
		}
		return u.launch(ctx, server, d.path("config", server.config), rec.Config)
	}
	return fmt.Errorf("restart %s: the cluster has none", c)
}

// PauseNode stops every process of a node with SIGSTOP: Nomad, the plugins and tasks that it started, Consul and the
// host.
func (e *Env) PauseNode(ctx context.Context, node int) error {
	return e.signalNode(ctx, node, syscall.SIGSTOP, func(p procInfo) bool { return !p.stopped() })
}

// ResumeNode lets the processes of a paused node go on.
func (e *Env) ResumeNode(ctx context.Context, node int) error {
	return e.signalNode(ctx, node, syscall.SIGCONT, procInfo.stopped)
}

// KillNode ends every process of a node with SIGKILL, as when its machine loses power. Up starts the node again.
func (e *Env) KillNode(ctx context.Context, node int) error {
	return e.signalNode(ctx, node, syscall.SIGKILL, func(procInfo) bool { return true })
}

// signalNode sends a signal to those processes of a node that need it, until none does: a process may have started
// another meanwhile.
func (e *Env) signalNode(ctx context.Context, node int, sig syscall.Signal, needs func(procInfo) bool) error {
	_, s, err := e.state()
	if err == nil {
		err = s.checkNode(node)
	}
	if err != nil {
		return err
	}
	err = until(ctx, func() (bool, error) { return signalEach(s, &node, sig, needs) })
	if err != nil {
		return fmt.Errorf("%v of node %d: %w", sig, node, err)
	}
	return nil
}

// signalEach sends a signal to the processes of a node, or of the whole cluster if node is nil, that need it. It tells
// whether there were none.
func signalEach(s *state, node *int, sig syscall.Signal, needs func(procInfo) bool) (none bool, err error) {
	pids, err := membersOf(s, node, nil)
	if err != nil {
		return false, err
	}
	none = true
	for _, pid := range pids {
		if p, err := readProc(pid); err == nil && !p.dead() && needs(p) {
			none = false
			record{PID: pid, StartTick: p.startTick, BootID: bootID()}.signal(sig)
		}
	}
	return none, nil
}

// undoFaults lets paused processes of a cluster go on and mends its cuts.
func undoFaults(ctx context.Context, s *state) error {
	if !s.many() {
		return nil
	}
	err := until(ctx, func() (bool, error) { return signalEach(s, nil, syscall.SIGCONT, procInfo.stopped) })
	return errors.Join(err, mendAll(ctx, s))
}

// until polls until it is so, for a few seconds at most.
func until(ctx context.Context, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// stopped tells whether a signal such as SIGSTOP keeps the process from running.
func (r record) stopped() bool {
	p, err := readProc(r.PID)
	return err == nil && r.alive() && p.stopped()
}

// state reads the cluster's state.
func (e *Env) state() (dir, *state, error) {
	d, err := open(e.Dir)
	if err != nil {
		return dir{}, nil, err
	}
	s, err := d.load()
	return d, s, err
}

// checkNode refuses a number that is not one of many nodes.
func (s *state) checkNode(node int) error {
	if !s.many() {
		return errors.New("the cluster has one node, whose agents are the servers: " +
			"bring one up with -nodes 3 in another -dir")
	}
	if node < 1 || node > s.Nodes {
		return fmt.Errorf("node %d: the cluster has nodes 1 to %d", node, s.Nodes)
	}
	return nil
}
