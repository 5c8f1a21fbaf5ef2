package calls

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"countersign"
	"countersign/host/link"
	"countersign/host/retry"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// Config is what the calls of a host need.
type Config struct {
	TrustDomain string
	Bind        string                  // IP address that connections to other hosts come from, and the host's name in metrics and traces
	Trust       func() *identity.Bundle // current; nil while there is none
	Replay      *callsig.ReplayCache    // of calls from other hosts
	Telemetry   *telemetry.Telemetry
	Log         *slog.Logger
}

// Node is what the calls of one host share: its instances, the routes to others, and the links to other hosts.
type Node struct {
	// Router decides where calls go. Who feeds it is the host's business.
	Router router.Router[*Instance]

	config     Config
	retry      retry.Policy
	sessions   sessions     // of calls within this host
	toOthers   *link.Pool   // calling ends of the links to other hosts
	fromOthers *link.Server // called ends of the links that other hosts opened

	mu        sync.Mutex
	instances map[*Instance]bool
}

// New returns a node without instances. Nothing is asked over the network yet.
func New(c Config) *Node {
	n := &Node{config: c, retry: retry.Policy{Telemetry: c.Telemetry, Log: c.Log}, instances: map[*Instance]bool{}}
	n.toOthers = link.NewPool(link.PoolConfig{Trust: c.Trust, LocalAddr: c.Bind, Handshake: c.Telemetry.Handshake, Log: c.Log})
	n.fromOthers = link.NewServer(link.ServerConfig{Trust: c.Trust, Replay: c.Replay, Find: n.callee, Log: c.Log,
		Refused: func(function string, err error) { n.Refused(function, telemetry.SideCallee, err) }})
	return n
}

// Add makes an instance callable.
func (n *Node) Add(in *Instance, r Runtime) {
	in.runtime = r
	in.served = n.config.Telemetry.Served(in.Function(), in.Release())
	n.mu.Lock()
	n.instances[in] = true
	n.mu.Unlock()
	n.Router.Add(in)
}

// Drain takes an instance out of the routes, tells callers on other hosts that it takes no more calls, and waits until
// those that run have ended or ctx is done.
func (n *Node) Drain(ctx context.Context, in *Instance) {
	n.Router.Remove(in)
	idle := in.refuse()
	n.fromOthers.Drain(in.ID(), errStopping)
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// errStopping is what callers of an instance are told that takes no more calls.
const errStopping = "the instance is stopping"

// End closes what an instance that was drained has open. Its function stays known until Forget.
func (n *Node) End(in *Instance) {
	in.end()
	n.sessions.forget(in.ID())
	n.toOthers.Forget(in.ID())
}

// Forget drops an instance that has ended.
func (n *Node) Forget(in *Instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.instances, in)
}

// Close closes the links to other hosts.
func (n *Node) Close() { n.toOthers.Close() }

// Instances returns the instances that have not ended, those that are stopping included.
func (n *Node) Instances() []*Instance {
	return slices.DeleteFunc(n.all(), (*Instance).ended)
}

func (n *Node) all() []*Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.instances))
}

// Route decides where a call goes; see router.Router.Route. Without Consul a caller from outside is told apart a function
// of which there is no instance now from one of which there never was any.
func (n *Node) Route(q *router.Query) (router.Choice[*Instance], error) {
	choice, err := n.Router.Route(q)
	if err != nil && q.Caller == "" && n.Router.Standalone && !n.runs(q.Callee) {
		err = countersign.Errorf(countersign.CodeUnknownFunction, q.Callee, "no function of this name runs here")
	}
	return choice, err
}

// runs tells whether an instance of function is here, callable or not.
func (n *Node) runs(function string) bool {
	return slices.ContainsFunc(n.all(), func(in *Instance) bool { return in.Function() == function })
}

// ServeLink serves a connection that another host opened, until it ends.
func (n *Node) ServeLink(ctx context.Context, conn *tls.Conn) {
	if err := n.fromOthers.Serve(ctx, conn); err != nil {
		n.config.Log.Debug("a connection of another host ended", "remote", conn.RemoteAddr().String(), "error", err)
	}
}

// Links is how many connections to other hosts are open.
func (n *Node) Links() int { return n.toOthers.Open() }

// Refused counts a call that was not let through, by the most exact reason that there is. A function that only the
// caller claims to exist is counted as unknown.
func (n *Node) Refused(function, side string, err error) {
	if !n.runs(function) && !n.Router.Known(function) {
		function = telemetry.Unknown
	}
	reason := string(countersign.CodeOf(err))
	var signature *callsig.Error
	if errors.As(err, &signature) {
		reason = string(signature.Reason)
	}
	n.config.Telemetry.Refused(function, side, reason)
}
