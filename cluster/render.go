package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

//go:embed config
var configFiles embed.FS

// configData is what the templates in config/ may use.
type configData struct {
	Many, Server, Client                       bool // many nodes; whether the agent is to be a server, a client
	Node, Host, Interface, DataDir             string
	HTTP, RPC, Serf, Cluster                   int
	PluginDir, HostDataDir, DriverDigest       string
	StorageDir                                 string
	MinDynamicPort, MaxDynamicPort             int
	RawExec                                    bool
	TrustDomain, AuthMount, AuthRole, Audience string
	TransitMount, PKIMount, PKIRole            string
	NomadAddr, ConsulAddr, VaultAddr           string // Consul is that of the node
	ConsulHostPort, Registry                   string
	ServerRPC, ServerSerf                      string // of Nomad's server, of Consul's
}

// configData collects the values for one server.
func (s *state) configData(d dir, server server, driverDigest string) configData {
	ports, consul := s.Ports[server.name], agent("consul", server.node)
	firstPort, lastPort := s.dynamicPorts(server.node)
	return configData{
		Many: s.many(), Server: server.node == 0, Client: server.node != 0 || !s.many(),
		Node: s.nodeName(server.node), Host: s.host(server.node), Interface: lo, DataDir: d.path("data", server.name),
		HTTP: ports["http"], RPC: ports["rpc"], Serf: ports["serf"], Cluster: ports["cluster"],
		PluginDir: d.path("plugins"), HostDataDir: d.hostDataDir(server.node), StorageDir: d.storageDir(server.node), DriverDigest: driverDigest,
		MinDynamicPort: firstPort, MaxDynamicPort: lastPort,
		TrustDomain: s.TrustDomain, AuthMount: authMount, AuthRole: functionRole, Audience: audience,
		TransitMount: transitMount, PKIMount: pkiMount, PKIRole: pkiRole,
		NomadAddr: s.address("nomad"), ConsulAddr: s.address(consul), VaultAddr: s.address("vault"),
		ConsulHostPort: s.hostPort(consul), Registry: s.hostPort("registry"),
		ServerRPC: s.endpoint("nomad", "rpc"), ServerSerf: s.endpoint("consul", "serf"),
	}
}

// render returns the configuration of a server with its present ports.
func (u *bringUp) render(s server) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	data := u.state.configData(u.dir, s, u.driverDigest)
	data.RawExec = u.rawExec
	if data.Client && s.template() == "nomad.hcl" { // which does not start without the directory of its volume
		if err := os.MkdirAll(filepath.Join(data.StorageDir, "volume"), 0o700); err != nil {
			return nil, fmt.Errorf("making the directory of a volume: %w", err)
		}
	}
	return render(s.template(), data)
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
