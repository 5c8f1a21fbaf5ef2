// Package cluster runs a local cluster in a directory: Vault, Consul, Nomad and an OCI registry as ordinary processes
// on loopback, configured for functions. It owns their configuration, keys, processes and whatever they leave behind.
// It must not know how functions are built, signed or called.
//
// A node is a Nomad client and a Consul agent that share a host address, and the host process that the driver starts.
// With one node, its agents are the servers as well, at 127.0.0.1. With many, each has an address of its own, and they
// can be killed, paused and cut off: see Env.Kill, Env.PauseNode and Env.Cut.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"countersign/cluster/servers"
	"countersign/terminal"
)

// Names that the cluster gives to things in Vault. They are the defaults everywhere.
const (
	DefaultDir         = ".cluster"
	DefaultTrustDomain = "countersign.local"

	transitMount   = "transit"
	pkiMount       = "pki"
	pkiRole        = "function"
	authMount      = "jwt-nomad"
	functionRole   = "countersign-function" // JWT role and policy of a function's allocation
	pipelinePolicy = "countersign-pipeline"
	operatorPolicy = "countersign-operator"
	personPolicy   = "countersign-person"
	clientRole     = "client"                // PKI role of people and programs outside
	developerRole  = "countersign-developer" // token role: who uses a local cluster is all of these
	audience       = "vault.io"

	loopback = "127.0.0.1"
	lo       = "lo"
)

// teardownTime bounds what is done after an Up that failed, when its context is no longer good.
const teardownTime = time.Minute

// Options say what Up brings up.
type Options struct {
	Dir          string    // state directory; "" is DefaultDir
	Nodes        int       // 1 to MaxNodes; 0 is 1, or what the directory has
	TrustDomain  string    // SPIFFE trust domain; "" is DefaultTrustDomain, or what the directory has
	DriverBinary string    // path of nomad-driver-countersign; "" builds it from the checkout in the working directory
	NoDriver     bool      // a cluster that can't run functions
	RawExec      bool      // let Nomad's jobs run any command of this machine, unconfined
	CLI          string    // path of countersign, for the PATH of the env file; may be ""
	Progress     io.Writer // what happens, for a person; nil is silent
}

// Up brings the cluster in o.Dir up: it starts what does not run, lets go on what was paused, mends what was cut,
// configures everything again and returns how to reach it. When it fails or ctx ends, it stops what it
// started; a cluster that ran before keeps running.
func Up(ctx context.Context, o Options) (*Env, error) {
	log := logOf(o.Progress)
	if err := relocate(o.Dir); err != nil {
		return nil, err
	}
	d, err := open(o.Dir)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx, log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	state, err := d.loadOrCreate(o.TrustDomain, o.Nodes)
	if err != nil {
		return nil, err
	}
	binaries, err := servers.EnsureAll(ctx, log)
	if err != nil {
		return nil, err
	}
	driverDigest, err := installDriver(ctx, d, o, log)
	if err != nil {
		return nil, err
	}
	u := &bringUp{dir: d, state: state, binaries: binaries, log: log, driverDigest: driverDigest, rawExec: o.RawExec}
	resumed := u.anyAlive()
	env, err := u.run(ctx, o)
	if err == nil {
		return env, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownTime)
	defer cancel()
	if resumed {
		return nil, errors.Join(err, u.stopStarted(cleanup))
	}
	log.Printf("stopping what was started")
	return nil, errors.Join(err, tearDown(cleanup, d, state, log))
}

// bringUp is one run of Up.
type bringUp struct {
	dir          dir
	state        *state
	binaries     map[string]servers.Binary
	log          *terminal.Log
	driverDigest string // "" without the driver
	rawExec      bool
	mu           sync.Mutex // guards what follows, and state
	started      []record
}

// run starts and configures everything. Nomad comes after Consul and Vault: it looks for them only now and then.
func (u *bringUp) run(ctx context.Context, o Options) (*Env, error) {
	if err := u.dir.prepare(); err != nil {
		return nil, err
	}
	if err := undoFaults(ctx, u.state); err != nil {
		return nil, err
	}
	var token string
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return u.ensure(gctx, registryServer) })
	group.Go(func() error { return u.ensure(gctx, consulServer) })
	group.Go(func() error {
		if err := u.ensure(gctx, vaultServer); err != nil {
			return err
		}
		var err error
		token, err = u.setUpVault(gctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := u.runNodes(ctx); err != nil {
		return nil, err
	}
	if err := u.setUpLogins(ctx); err != nil {
		return nil, err
	}
	u.state.Drained = false // every node was opened before it was ready
	if err := u.dir.save(u.state); err != nil {
		return nil, err
	}
	if err := u.dir.linkCommands(u.binaries, o.CLI); err != nil {
		return nil, err
	}
	env := newEnv(u.dir, u.state, token)
	if err := env.write(u.dir); err != nil {
		return nil, err
	}
	return env, nil
}

// runNodes starts Nomad: one agent that is server and client, or the server and then the agents of the nodes.
func (u *bringUp) runNodes(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return u.ensure(gctx, nomadServer) })
	if !u.state.many() {
		return group.Wait()
	}
	for _, node := range u.state.nodes() {
		group.Go(func() error { return u.ensure(gctx, consulAgent(node)) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// Held for all of them together, so that they start side by side.
	unlock, err := lockCgroups(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	group, gctx = errgroup.WithContext(ctx)
	for _, node := range u.state.nodes() {
		group.Go(func() error { return u.ensure(gctx, nomadAgent(node)) })
	}
	return group.Wait()
}

func (u *bringUp) anyAlive() bool {
	for _, s := range u.state.servers() {
		if rec, err := u.dir.record(s.name); err == nil && rec.alive() {
			return true
		}
	}
	return false
}

// stopStarted stops the servers that this run started, newest first.
func (u *bringUp) stopStarted(ctx context.Context) error {
	var errs []error
	for i := len(u.started) - 1; i >= 0; i-- {
		errs = append(errs, u.started[i].stop(ctx, stopGrace))
	}
	return errors.Join(errs...)
}

func logOf(w io.Writer) *terminal.Log {
	if w == nil {
		return nil
	}
	return terminal.NewLog(w)
}
