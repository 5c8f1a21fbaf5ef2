package driver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"

	"github.com/hashicorp/go-msgpack/v2/codec"
	baseproto "github.com/hashicorp/nomad/plugins/base/proto"

	"countersign/host/control"
)

// pluginConfig is the agent's plugin block, as ConfigSchema describes it.
type pluginConfig struct {
	DataDir     string      `codec:"data_dir"`
	Bind        string      `codec:"bind"`
	Port        int         `codec:"port"`
	TrustDomain string      `codec:"trust_domain"`
	PlainHTTP   bool        `codec:"plain_http"`
	LogLevel    string      `codec:"log_level"`
	Vault       vaultConfig `codec:"vault"`
}

type vaultConfig struct {
	Address      string `codec:"address"`
	Namespace    string `codec:"namespace"`
	CACert       string `codec:"ca_cert"`
	AuthMount    string `codec:"auth_mount"`
	AuthRole     string `codec:"auth_role"`
	TransitMount string `codec:"transit_mount"`
	PKIMount     string `codec:"pki_mount"`
	PKIRole      string `codec:"pki_role"`
}

// taskConfig is a task's config block, as TaskConfigSchema describes it.
type taskConfig struct {
	Artifact string `codec:"artifact"`
	Function string `codec:"function"`
}

// SetConfig takes the agent's plugin block. A bad one is no error here, since Nomad would not load the driver and the
// reason would be in its log only: it makes the driver unhealthy, which `nomad node status` shows.
func (d *Driver) SetConfig(_ context.Context, r *baseproto.SetConfigRequest) (*baseproto.SetConfigResponse, error) {
	var raw pluginConfig
	if err := decode(r.GetMsgpackConfig(), &raw); err != nil {
		return nil, fmt.Errorf("reading the plugin block of %s: %w", Name, err)
	}
	config := hostConfig(raw)
	problem := check(config)
	if problem == nil {
		config.Port, problem = nodePort(config)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current, d.problem = d.hostAt(config), problem
	d.current.reconfigure(config)
	d.coreMHz = coreSpeed(r.GetNomadConfig().GetDriver().GetTopology())
	return &baseproto.SetConfigResponse{}, nil
}

// ready returns where tasks are to be started, if they can be.
func (d *Driver) ready() (*hostProcess, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return nil, errors.New("the driver is not configured yet: Nomad does that when its client starts")
	}
	return d.current, d.problem
}

// hostAt returns the one hostProcess of a data directory. d.mu is held.
func (d *Driver) hostAt(config control.HostConfig) *hostProcess {
	p := d.hosts[config.DataDir]
	if p == nil {
		p = newHostProcess(config, d.log, d.forward)
		d.hosts[config.DataDir] = p
	}
	return p
}

// hostConfig fills in the defaults of docs/driver.md.
func hostConfig(raw pluginConfig) control.HostConfig {
	return control.HostConfig{
		DataDir:     cmp.Or(raw.DataDir, "/var/lib/countersign"),
		Bind:        cmp.Or(raw.Bind, "127.0.0.1"),
		Port:        raw.Port,
		TrustDomain: cmp.Or(raw.TrustDomain, "countersign.local"),
		PlainHTTP:   raw.PlainHTTP,
		LogLevel:    cmp.Or(raw.LogLevel, "info"),
		Vault: control.Vault{
			Address:      raw.Vault.Address,
			Namespace:    raw.Vault.Namespace,
			CACert:       raw.Vault.CACert,
			AuthMount:    cmp.Or(raw.Vault.AuthMount, "jwt-nomad"),
			AuthRole:     cmp.Or(raw.Vault.AuthRole, "countersign-function"),
			TransitMount: cmp.Or(raw.Vault.TransitMount, "transit"),
			PKIMount:     cmp.Or(raw.Vault.PKIMount, "pki"),
			PKIRole:      cmp.Or(raw.Vault.PKIRole, "function"),
		},
	}
}

var (
	trustDomain  = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`) // SPIFFE-ID, section 2.1
	functionName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	reference    = regexp.MustCompile(`^[^/@\s]+(/[^/@\s]+)+@sha256:[0-9a-f]{64}$`)
	logLevels    = []string{"debug", "info", "warn", "error"}
)

// check returns everything that is wrong with a configuration, one problem a line.
func check(c control.HostConfig) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.DataDir) {
		wrong("data_dir %q is not an absolute path", c.DataDir)
	}
	if ip := net.ParseIP(c.Bind); ip == nil || ip.IsUnspecified() {
		wrong("bind %q is not an IP address of this node: it is where other nodes call this one", c.Bind)
	}
	if c.Port < 0 || c.Port > 65535 {
		wrong("port %d is not a TCP port; 0 takes any free one", c.Port)
	}
	if !trustDomain.MatchString(c.TrustDomain) {
		wrong("trust_domain %q is not a SPIFFE trust domain such as example.org", c.TrustDomain)
	}
	if !slices.Contains(logLevels, c.LogLevel) {
		wrong("log_level %q is none of %v", c.LogLevel, logLevels)
	}
	if c.Vault.Address == "" {
		wrong("vault.address is missing: functions get their call certificates and keys from Vault")
	} else if u, err := url.Parse(c.Vault.Address); err != nil || u.Host == "" || u.User != nil ||
		(u.Scheme != "https" && u.Scheme != "http") {
		wrong("vault.address is not a URL such as https://vault.example.org:8200")
	}
	if c.Vault.CACert != "" && !filepath.IsAbs(c.Vault.CACert) {
		wrong("vault.ca_cert %q is not an absolute path", c.Vault.CACert)
	}
	return errors.Join(problems...)
}

// checkTask returns what is wrong with a task's config block.
func checkTask(c taskConfig) error {
	if !reference.MatchString(c.Artifact) {
		return fmt.Errorf("config.artifact %q is not an OCI reference with a digest, "+
			"<registry>/<repository>@sha256:<64 hex digits>; a tag can be moved and is not accepted", c.Artifact)
	}
	if !functionName.MatchString(c.Function) {
		return fmt.Errorf("%q is not a function's name (lower-case letters, digits and '-', at most 63, beginning with "+
			"a letter); it is the job's ID unless config.function says otherwise", c.Function)
	}
	return nil
}

// decode reads a block in the msgpack form that Nomad sends. Nothing at all is an empty block.
func decode(encoded []byte, out any) error {
	if len(encoded) == 0 {
		return nil
	}
	h := new(codec.MsgpackHandle)
	h.RawToString = true
	h.TimeNotBuiltin = true
	h.MapType = reflect.TypeFor[map[string]any]()
	h.TypeInfos = codec.NewTypeInfos([]string{"codec"})
	return codec.NewDecoder(bytes.NewReader(encoded), h).Decode(out)
}
