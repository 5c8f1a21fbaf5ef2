package cluster

import (
	"fmt"
	"os"
	"strings"

	"countersign/strictjson"
)

// Env is how to reach a cluster: what its env file says. The token is an operator's, never Vault's root token.
type Env struct {
	Dir             string `json:"dir"` // state directory, absolute
	ID              string `json:"id"`
	TrustDomain     string `json:"trust_domain"`
	NomadAddr       string `json:"nomad_addr"`
	ConsulAddr      string `json:"consul_addr"`
	VaultAddr       string `json:"vault_addr"`
	VaultToken      string `json:"-"`
	Registry        string `json:"registry"`         // host:port, plain HTTP
	EnvironmentFile string `json:"environment_file"` // environment block for hclspec
	BinDir          string `json:"bin_dir"`          // vault, consul, nomad and countersign
	Nodes           []Node `json:"nodes"`            // node 1 first
}

func newEnv(d dir, s *state, token string) *Env {
	env := &Env{
		Dir: d.root, ID: s.ID, TrustDomain: s.TrustDomain,
		NomadAddr: s.address("nomad"), ConsulAddr: s.address("consul"), VaultAddr: s.address("vault"),
		VaultToken: token, Registry: s.hostPort("registry"),
		EnvironmentFile: d.path("environment.hcl"), BinDir: d.path("bin"),
	}
	for _, node := range s.nodes() {
		env.Nodes = append(env.Nodes, s.env(d, node))
	}
	return env
}

// Load returns how to reach the cluster in a directory ("" is DefaultDir) that was brought up before. It does not tell
// whether it runs: see StatusOf.
func Load(path string) (*Env, error) {
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	s, err := d.load()
	if err != nil {
		return nil, err
	}
	var kept struct {
		Token string `json:"token"`
	}
	data, err := os.ReadFile(d.path("secrets", "operator.json"))
	if err == nil {
		err = strictjson.DecodeOpen(data, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster in %s was never completely up: %w", d.root, err)
	}
	return newEnv(d, s, kept.Token), nil
}

// Vars returns the variables of the env file, without PATH, as NAME=value.
func (e *Env) Vars() []string {
	return []string{
		"NOMAD_ADDR=" + e.NomadAddr,
		"CONSUL_HTTP_ADDR=" + e.ConsulAddr,
		"VAULT_ADDR=" + e.VaultAddr,
		"VAULT_TOKEN=" + e.VaultToken,
		"COUNTERSIGN_REGISTRY=" + e.Registry,
		"COUNTERSIGN_ENVIRONMENT=" + e.EnvironmentFile,
		"COUNTERSIGN_TRUST_DOMAIN=" + e.TrustDomain,
		"COUNTERSIGN_DIR=" + e.Dir,
	}
}

// shell returns the env file, for any POSIX shell. Sourcing it again changes nothing. Variables that would lead the
// servers' commands elsewhere are unset.
func (e *Env) shell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# How to reach the cluster in %s. It holds a token: keep it to yourself.\n",
		strings.Map(printable, e.Dir))
	for _, kv := range e.Vars() {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, shellQuote(value))
	}
	b.WriteString("unset NOMAD_TOKEN NOMAD_NAMESPACE NOMAD_REGION CONSUL_HTTP_TOKEN CONSUL_HTTP_SSL VAULT_NAMESPACE\n")
	fmt.Fprintf(&b, "case \":$PATH:\" in\n  *:%s:*) ;;\n  *) export PATH=%s:\"$PATH\" ;;\nesac\n",
		shellQuote(e.BinDir), shellQuote(e.BinDir))
	return b.String()
}

// write writes the env and environment files.
func (e *Env) write(d dir) error {
	data := configData{
		TrustDomain: e.TrustDomain, Registry: e.Registry, NomadAddr: e.NomadAddr, ConsulAddr: e.ConsulAddr,
		VaultAddr: e.VaultAddr, TransitMount: transitMount, PKIMount: pkiMount,
	}
	environment, err := render("environment.hcl", data)
	if err != nil {
		return err
	}
	if err := writeFile(e.EnvironmentFile, environment, 0o644); err != nil {
		return fmt.Errorf("environment file: %w", err)
	}
	if err := writeFile(d.path("env"), []byte(e.shell()), 0o600); err != nil {
		return fmt.Errorf("env file: %w", err)
	}
	return nil
}

// shellQuote makes one word of a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// printable keeps a comment on its line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}
