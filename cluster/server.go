package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// server says how one of the servers, or an agent of a node, is run.
type server struct {
	name   string   // of its process, ports, data and log: "nomad", and "nomad-2" for the agent of node 2
	kind   string   // of its binary
	node   int      // 0 for a server
	ports  []string // purposes, the one for clients first
	config string   // file name in the directory's config/
	args   func(configPath string) []string
	env    []string
	serves func(ctx context.Context, d dir, s *state) error // nil when it does; changes nothing
	ui     func(ctx context.Context, s *state) bool         // whether it has a web interface; nil: none
	open   func(u *bringUp, ctx context.Context) error      // what has to be done before it can serve, or nil
}

var (
	registryServer = server{
		name: "registry", kind: "registry", ports: []string{"http"}, config: "registry.yml", serves: registryServes,
		args: func(c string) []string { return []string{"serve", c} },
	}
	consulServer = server{
		name: "consul", kind: "consul", ports: []string{"http", "rpc", "serf"}, config: "consul.hcl",
		serves: consulServes(0), ui: hasUI("consul"), args: consulArgs,
	}
	vaultServer = server{
		name: "vault", kind: "vault", ports: []string{"http", "cluster"}, config: "vault.hcl", serves: vaultServes,
		ui: hasUI("vault"), open: (*bringUp).openVault,
		args: func(c string) []string { return []string{"server", "-config=" + c} },
	}
	nomadServer = server{
		name: "nomad", kind: "nomad", ports: []string{"http", "rpc", "serf"}, config: "nomad.hcl",
		serves: nomadServes(0), ui: hasUI("nomad"), open: openNode(0), args: nomadArgs,
	}
	// allServers are what every cluster has.
	allServers = []server{nomadServer, registryServer, consulServer, vaultServer}
)

// template is the name of the file in this package's config/, without .tmpl. A server and the agents of nodes share one.
func (s server) template() string { return s.kind + filepath.Ext(s.config) }

func consulArgs(config string) []string { return []string{"agent", "-config-file=" + config} }
func nomadArgs(config string) []string  { return []string{"agent", "-config=" + config} }

// consulAgent is the Consul of a node, where there are many.
func consulAgent(node int) server {
	name := agent("consul", node)
	return server{
		name: name, kind: "consul", node: node, ports: []string{"http", "serf"}, config: name + ".hcl",
		serves: consulServes(node), args: consulArgs,
	}
}

// nomadAgent is the Nomad client of a node, where there are many.
func nomadAgent(node int) server {
	name := agent("nomad", node)
	return server{
		name: name, kind: "nomad", node: node, ports: []string{"http", "rpc"}, config: name + ".hcl",
		serves: nomadServes(node), open: openNode(node), args: nomadArgs,
	}
}

// servers are all processes that Up starts.
func (s *state) servers() []server {
	all := slices.Clone(allServers)
	for _, node := range s.nodes() {
		if node != 0 {
			all = append(all, nomadAgent(node), consulAgent(node))
		}
	}
	return all
}

// startTime bounds how long a server may take until it serves. Machines that build at the same time are slow.
const startTime = 90 * time.Second

// ensure brings one server up: it keeps the running one if it serves and was started with the same configuration.
func (u *bringUp) ensure(ctx context.Context, s server) (err error) {
	step := u.log.Start(s.name, "")
	defer func() { step.Fail(err) }()
	if s.name == "nomad" && !u.state.many() { // those of nodes: see runNodes
		unlock, err := lockCgroups(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if rec, recErr := u.dir.record(s.name); recErr == nil && rec.alive() {
		config, err := u.render(s)
		if err != nil {
			return err
		}
		reason := "its configuration changed"
		if rec.Config == u.digest(s, config) {
			if err := u.wait(ctx, s, nil); err == nil {
				step.Done("%s runs at %s", rec.Version, u.address(s.name))
				return nil
			} else if ctx.Err() != nil {
				return err
			}
			reason = "it does not answer"
		}
		step.Detail("restarting: %s", reason)
		if err := rec.stop(ctx, stopGrace); err != nil {
			return err
		}
	}
	for attempt := 0; ; attempt++ {
		err = u.start(ctx, s, attempt > 0)
		if !isPortClash(err) || attempt == 4 {
			break
		}
	}
	if err == nil {
		step.Done("%s ready at %s", u.binaries[s.kind].Version, u.address(s.name))
	}
	return err
}

// start gives the server ports and a configuration, starts it and waits until it serves.
func (u *bringUp) start(ctx context.Context, s server, newPorts bool) error {
	if err := u.assign(s, newPorts); err != nil {
		return err
	}
	config, err := u.render(s)
	if err != nil {
		return err
	}
	path := u.dir.path("config", s.config)
	if err := writeFile(path, config, 0o644); err != nil {
		return fmt.Errorf("configuration of %s: %w", s.name, err)
	}
	if s.name == "vault" {
		if err := u.dir.dropHalfMadeVault(); err != nil {
			return fmt.Errorf("storage of a Vault whose initialisation was interrupted: %w", err)
		}
	}
	if err := os.MkdirAll(u.dir.path("data", s.name), 0o755); err != nil {
		return fmt.Errorf("data directory of %s: %w", s.name, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return u.launch(ctx, s, path, u.digest(s, config))
}

// launch starts the process of a server and waits until it serves.
func (u *bringUp) launch(ctx context.Context, s server, config, digest string) error {
	binary := u.binaries[s.kind]
	rec := record{Name: s.name, Version: binary.Version, Config: digest}
	c, err := u.dir.spawn(rec, u.state, binary.Path, s.args(config), s.env)
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.started = append(u.started, c.record)
	u.mu.Unlock()
	return u.wait(ctx, s, c)
}

// assign gives a server its ports and saves them.
func (u *bringUp) assign(s server, renew bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.state.assignPorts(s.name, s.ports, renew); err != nil {
		return err
	}
	return u.dir.save(u.state)
}

// wait polls until the server is ready. c is nil for one that another process started. That one has less time: it had
// been ready before.
func (u *bringUp) wait(ctx context.Context, s server, c *child) error {
	limit, exited := 15*time.Second, (<-chan struct{})(nil)
	if c != nil {
		limit, exited = startTime, c.exited
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := u.tryServing(ctx, s)
		select {
		case <-exited: // also when something answered: then it was another process at the same address
			return &exitedError{Server: s.name, Log: u.dir.logFile(s.name), Last: u.dir.lastLines(s.name, 8)}
		default:
		}
		var broken *brokenError
		if err == nil || errors.As(err, &broken) {
			return err
		}
		select {
		case <-exited:
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready: %w\n  the log is %s", s.name, err, u.dir.logFile(s.name))
		}
	}
}

// tryServing does what is left to do for a server and tells whether it serves.
func (u *bringUp) tryServing(ctx context.Context, s server) error {
	if s.open != nil {
		if err := s.open(u, ctx); err != nil {
			return err
		}
	}
	u.mu.Lock()
	state := *u.state
	state.Ports = maps.Clone(state.Ports)
	u.mu.Unlock()
	return s.serves(ctx, u.dir, &state)
}

// brokenError is a state of a server that waiting does not change.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// address is the URL of a server.
func (u *bringUp) address(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state.address(name)
}

func (s *state) address(name string) string { return "http://" + s.hostPort(name) }

func (s *state) hostPort(name string) string {
	return s.endpoint(name, "http")
}

// endpoint is the host:port of a process for one purpose.
func (s *state) endpoint(name, purpose string) string {
	return fmt.Sprintf("%s:%d", s.host(agentNode(name)), s.Ports[name][purpose])
}

// digest identifies everything that a server was started with.
func (u *bringUp) digest(s server, config []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n", u.binaries[s.kind].Path, u.binaries[s.kind].Version, s.args(s.config))
	h.Write(config)
	return hex.EncodeToString(h.Sum(nil))
}
