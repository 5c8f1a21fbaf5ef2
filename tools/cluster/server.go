package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

//go:embed config
var configFiles embed.FS

// server says how one of the servers is run.
type server struct {
	name   string
	ports  []string // purposes, the one for clients first
	config string   // file name in config/
	args   func(configPath string) []string
	env    []string
	serves func(ctx context.Context, d dir, s *state) error // nil when it does; changes nothing
	ui     func(ctx context.Context, s *state) bool         // whether it has a web interface; nil: none
	open   func(u *bringUp, ctx context.Context) error      // what has to be done before it can serve, or nil
}

var (
	registryServer = server{
		name: "registry", ports: []string{"http"}, config: "registry.yml", serves: registryServes,
		args: func(c string) []string { return []string{"serve", c} },
	}
	consulServer = server{
		name: "consul", ports: []string{"http", "rpc", "serf"}, config: "consul.hcl",
		serves: consulServes, ui: hasUI("consul"),
		args: func(c string) []string { return []string{"agent", "-config-file=" + c} },
	}
	vaultServer = server{
		name: "vault", ports: []string{"http", "cluster"}, config: "vault.hcl", serves: vaultServes, ui: hasUI("vault"),
		open: (*bringUp).openVault,
		args: func(c string) []string { return []string{"server", "-config=" + c} },
	}
	nomadServer = server{
		name: "nomad", ports: []string{"http", "rpc", "serf"}, config: "nomad.hcl", serves: nomadServes, ui: hasUI("nomad"),
		open: (*bringUp).openNode,
		args: func(c string) []string { return []string{"agent", "-config=" + c} },
	}
	// allServers is in the order in which they stop: those that depend on others first.
	allServers = []server{nomadServer, registryServer, consulServer, vaultServer}
)

// startTime bounds how long a server may take until it serves. Machines that build at the same time are slow.
const startTime = 90 * time.Second

// ensure brings one server up: it keeps the running one if it serves and was started with the same configuration.
func (u *bringUp) ensure(ctx context.Context, s server) (err error) {
	step := u.log.Start(s.name, "")
	defer func() { step.Fail(err) }()
	if s.name == "nomad" {
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
		step.Done("%s ready at %s", u.binaries[s.name].Version, u.address(s.name))
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
	binary := u.binaries[s.name]
	rec := record{Name: s.name, Version: binary.Version, Config: u.digest(s, config)}
	c, err := u.dir.spawn(rec, u.state, binary.Path, s.args(path), s.env)
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
			return &ExitedError{Server: s.name, Log: u.dir.logFile(s.name), Last: u.dir.lastLines(s.name, 8)}
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
	return fmt.Sprintf("%s:%d", loopback, s.Ports[name]["http"])
}

// digest identifies everything that a server was started with.
func (u *bringUp) digest(s server, config []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n", u.binaries[s.name].Path, u.binaries[s.name].Version, s.args(s.config))
	h.Write(config)
	return hex.EncodeToString(h.Sum(nil))
}

// configData is what the templates in config/ may use.
type configData struct {
	Node, Host, Interface, DataDir             string
	HTTP, RPC, Serf, Cluster                   int
	PluginDir, HostDataDir, DriverDigest       string
	MinDynamicPort, MaxDynamicPort             int
	RawExec                                    bool
	TrustDomain, AuthMount, AuthRole, Audience string
	TransitMount, PKIMount, PKIRole            string
	NomadAddr, ConsulAddr, VaultAddr           string
	ConsulHostPort, Registry                   string
}

// configData collects the values for one server, or for none.
func (s *state) configData(d dir, server, driverDigest string) configData {
	ports := s.Ports[server]
	return configData{
		Node: s.node(), Host: loopback, Interface: lo, DataDir: d.path("data", server),
		HTTP: ports["http"], RPC: ports["rpc"], Serf: ports["serf"], Cluster: ports["cluster"],
		PluginDir: d.path("plugins"), HostDataDir: d.path("data", "host"), DriverDigest: driverDigest,
		MinDynamicPort: s.MinDynamicPort,
		MaxDynamicPort: s.MinDynamicPort + dynamicCount - 1,
		TrustDomain:    s.TrustDomain, AuthMount: authMount, AuthRole: functionRole, Audience: audience,
		TransitMount: transitMount, PKIMount: pkiMount, PKIRole: pkiRole,
		NomadAddr: s.address("nomad"), ConsulAddr: s.address("consul"), VaultAddr: s.address("vault"),
		ConsulHostPort: s.hostPort("consul"), Registry: s.hostPort("registry"),
	}
}

// render returns the configuration of a server with its present ports.
func (u *bringUp) render(s server) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	data := u.state.configData(u.dir, s.name, u.driverDigest)
	data.RawExec = u.rawExec
	return render(s.config, data)
}

// render fills a template of config/.
func render(name string, data configData) ([]byte, error) {
	file := filepath.Join("config", name+".tmpl")
	t, err := template.New(filepath.Base(file)).Option("missingkey=error").
		Funcs(template.FuncMap{"quote": quote}).ParseFS(configFiles, file)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// quote makes a string literal of HCL, which is one of YAML as well.
func quote(text string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(text)).Bytes())
}
