package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"countersign"

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

	Registry  registryConfig  `codec:"registry"`
	Storage   storageConfig   `codec:"storage"`
	Network   networkConfig   `codec:"network"`
	Consul    consulConfig    `codec:"consul"`
	Ingress   ingressConfig   `codec:"ingress"`
	Telemetry telemetryConfig `codec:"telemetry"`
}

type registryConfig struct {
	Allow  []string `codec:"allow"`
	Logins string   `codec:"logins"`
}

type storageConfig struct {
	Allow []string `codec:"allow"`
}

type networkConfig struct {
	AllowUnix []string `codec:"allow_unix"`
}

type consulConfig struct {
	Address    string `codec:"address"`
	TokenFile  string `codec:"token_file"`
	CACert     string `codec:"ca_cert"`
	Datacenter string `codec:"datacenter"`
}

type ingressConfig struct {
	Names    []string    `codec:"names"`
	MaxCalls int         `codec:"max_calls"`
	JWT      []jwtConfig `codec:"jwt"`
}

type jwtConfig struct {
	Issuer   string `codec:"issuer"`
	JWKSURL  string `codec:"jwks_url"`
	Audience string `codec:"audience"`
	CACert   string `codec:"ca_cert"`
}

type telemetryConfig struct {
	OTLPEndpoint string  `codec:"otlp_endpoint"`
	OTLPCACert   string  `codec:"otlp_ca_cert"`
	SampleRatio  float64 `codec:"sample_ratio"`
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

	Storage []storageTag `codec:"storage"`
	Network []networkTag `codec:"network"`
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

// checkTask returns what is wrong with a task's config block.
func checkTask(c taskConfig) error {
	if !reference.MatchString(c.Artifact) {
		return fmt.Errorf("config.artifact %q is not an OCI reference with a digest, "+
			"<registry>/<repository>@sha256:<64 hex digits>; a tag can be moved and is not accepted", c.Artifact)
	}
	if !countersign.ValidName(c.Function) {
		return fmt.Errorf("%q is not a function's name (%s); it is the job's ID unless config.function says otherwise",
			c.Function, countersign.NameForm)
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
