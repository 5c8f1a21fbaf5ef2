package cluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"countersign/hclspec"
)

// testState is a state as Up makes it, with ports for every server.
func testState(t *testing.T, d dir) *state {
	t.Helper()
	s, err := d.loadOrCreate("example.test", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range allServers {
		if err := s.assignPorts(server.name, server.ports, false); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// oddDir is a directory with everything in its path that a user may have and that needs quoting somewhere.
func oddDir(t *testing.T) dir {
	t.Helper()
	d := dir{filepath.Join(t.TempDir(), `it's "odd" $HOME \ ü #1`)}
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	if err := d.prepare(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConfigurationsAreWellFormed(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		d := oddDir(t)
		s := testState(t, d)
		s.Nodes, s.Network = nodes, "127.20.30"
		for _, server := range s.servers() {
			data := s.configData(d, server, "digest")
			data.RawExec = true
			config, err := render(server.template(), data)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(server.config, ".yml") {
				if !strings.Contains(string(config), "rootdirectory: "+quote(d.path("data", "registry"))) {
					t.Errorf("%s does not name its directory:\n%s", server.config, config)
				}
				continue
			}
			if _, diags := hclsyntax.ParseConfig(config, server.config, hcl.InitialPos); diags.HasErrors() {
				t.Errorf("%s: %v\n%s", server.config, diags, config)
			}
			if strings.Contains(string(config), "0.0.0.0") || !strings.Contains(string(config), s.host(server.node)) {
				t.Errorf("%s does not keep to its address:\n%s", server.config, config)
			}
		}
	}
}

func TestNomadConfigurationFollowsTheDriver(t *testing.T) {
	d := oddDir(t)
	s := testState(t, d)
	with, err := render("nomad.hcl", s.configData(d, nomadServer, "abc"))
	if err != nil {
		t.Fatal(err)
	}
	without, err := render("nomad.hcl", s.configData(d, nomadServer, ""))
	if err != nil {
		t.Fatal(err)
	}
	const block = `plugin "nomad-driver-countersign"`
	if !strings.Contains(string(with), block) || !strings.Contains(string(with), "abc") {
		t.Errorf("no plugin block, or none that changes with the driver:\n%s", with)
	}
	if strings.Contains(string(without), block) || strings.Contains(string(without), "raw_exec") {
		t.Errorf("a driver that was not asked for:\n%s", without)
	}
}

func TestEnvironmentFileIsOneOfOurs(t *testing.T) {
	d := oddDir(t)
	env := newEnv(d, testState(t, d), "token")
	if err := env.write(d); err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(env.EnvironmentFile)
	if err != nil {
		t.Fatal(err)
	}
	got, diags := hclspec.ParseEnvironment("environment.hcl", src, map[string]string{})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, src)
	}
	if got.TrustDomain != "example.test" || got.Nomad.Address != env.NomadAddr || got.Consul.Address != env.ConsulAddr ||
		got.Vault.Address != env.VaultAddr || got.Registry.Address != env.Registry || !got.Registry.PlainHTTP {
		t.Errorf("the environment %+v is not that of %+v", got, env)
	}
}

func TestEnvFileCanBeSourcedAgain(t *testing.T) {
	d := oddDir(t)
	env := newEnv(d, testState(t, d), "to'ken")
	if err := env.write(d); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.path("env"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("env file has mode %v", info.Mode())
	}
	cmd := exec.Command("/bin/sh", "-euc", `. "$1"; . "$1"; env`, "sh", d.path("env"))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "VAULT_NAMESPACE=elsewhere", "CONSUL_HTTP_TOKEN=old"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(out), "\n")
	for _, want := range append(env.Vars(), "PATH="+d.path("bin")+":/usr/bin:/bin", "VAULT_TOKEN=to'ken") {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "elsewhere") || strings.Contains(string(out), "CONSUL_HTTP_TOKEN") {
		t.Errorf("what leads elsewhere is left:\n%s", out)
	}
	if strings.Contains(string(out), "COUNTERSIGN_CLUSTER") {
		t.Error("the env file marks the user's shell as a process of the cluster, which down ends")
	}
}

func TestState(t *testing.T) {
	d := dir{t.TempDir()}
	if _, err := d.load(); !errors.As(err, new(*NoClusterError)) {
		t.Errorf("got %v, want NoClusterError", err)
	}
	s, err := d.loadOrCreate("", 0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.loadOrCreate(DefaultTrustDomain, 0)
	if err != nil || again.ID != s.ID || again.TrustDomain != DefaultTrustDomain {
		t.Errorf("got %+v, %v; want what was made", again, err)
	}
	if _, err := d.loadOrCreate("other.test", 0); err == nil || !strings.Contains(err.Error(), "use another -dir") {
		t.Errorf("a cluster took another trust domain: %v", err)
	}
	for name, content := range map[string]string{
		"empty": "", "no id": "{}", "evil id": `{"id":"../../../x"}`, "not JSON": "x",
	} {
		if err := os.WriteFile(d.path("cluster.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := d.loadOrCreate("", 0); err == nil || errors.As(err, new(*NoClusterError)) {
			t.Errorf("%s: got %v, want an error that is not taken for a new cluster", name, err)
		}
	}
}

func TestRefusedNames(t *testing.T) {
	for _, td := range []string{"-x", "UPPER", "a b", "x/y", "spiffe://x", strings.Repeat("x", 256)} {
		if _, err := (dir{t.TempDir()}).loadOrCreate(td, 0); err == nil {
			t.Errorf("trust domain %q was taken", td)
		}
	}
	for _, path := range []string{"/a:b", "/a\nb", "/${x}", "/%{x}"} {
		if (dir{path}).check() == nil {
			t.Errorf("directory %q was taken", path)
		}
	}
}

func TestDirectoryOfSomebodyElse(t *testing.T) {
	for names, ok := range map[string]bool{
		"": true, "lock": true, "lock .cluster.json.123": true, "src": false, "cluster.json src": true, "bin lock": false,
	} {
		d := dir{t.TempDir()}
		for name := range strings.FieldsSeq(names) {
			if err := os.WriteFile(d.path(name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.check(); (err == nil) != ok {
			t.Errorf("a directory with %q: %v", names, err)
		}
	}
}

func TestPortsStayWhileTheyAreFree(t *testing.T) {
	s := &state{Ports: map[string]map[string]int{}}
	purposes := []string{"http", "rpc"}
	if err := s.assignPorts("a", purposes, false); err != nil {
		t.Fatal(err)
	}
	first := s.Ports["a"]
	if err := s.assignPorts("a", purposes, false); err != nil {
		t.Fatal(err)
	}
	if s.Ports["a"]["http"] != first["http"] || s.Ports["a"]["rpc"] != first["rpc"] || first["http"] == first["rpc"] {
		t.Errorf("ports were %v and are %v", first, s.Ports["a"])
	}
	for _, port := range s.Ports["a"] {
		if port < portFrom || port >= portTo {
			t.Errorf("port %d is out of range", port)
		}
	}
	s.Ports["b"] = map[string]int{"http": first["http"]}
	if err := s.assignPorts("b", []string{"http"}, false); err != nil {
		t.Fatal(err)
	}
	if s.Ports["b"]["http"] == first["http"] {
		t.Error("two servers have the same port")
	}
}

func TestDropHalfMadeVault(t *testing.T) {
	for name, c := range map[string]struct {
		mark, keys, kept bool
	}{
		"never begun":            {false, false, true},
		"killed before the keys": {true, false, false},
		"killed after the keys":  {true, true, true},
		"complete":               {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := dir{t.TempDir()}
			if err := d.prepare(); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(d.path("data", "vault"), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.mark {
				os.WriteFile(d.initMark(), nil, 0o600)
			}
			if c.keys {
				os.WriteFile(d.keysFile(), []byte("{}"), 0o600)
			}
			if err := d.dropHalfMadeVault(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(d.path("data", "vault")); (err == nil) != c.kept {
				t.Errorf("storage: %v, want kept %v", err, c.kept)
			}
			if _, err := os.Stat(d.initMark()); err == nil {
				t.Error("the mark is still there")
			}
		})
	}
}

func TestPoliciesGiveNoMore(t *testing.T) {
	policy := functionPolicy("auth_jwt_1")
	const own = `path "transit/keys/{{identity.entity.aliases.auth_jwt_1.metadata.nomad_job_id}}"`
	if !strings.Contains(policy, own) || strings.Count(policy, "path ") != 2 || strings.Contains(policy, "*") {
		t.Errorf("policy of a function is\n%s", policy)
	}
	for _, forbidden := range []string{
		"delete", "sudo", "export", "trim", pkiMount + "/sign/" + pkiRole, "sys/", "auth/",
	} {
		if strings.Contains(operatorRules, forbidden) {
			t.Errorf("the operator's policy has %q", forbidden)
		}
	}
	for name, has := range map[string]struct{ rules, not string }{
		"operator signs":   {operatorRules, transitMount + "/sign"},
		"operator calls":   {operatorRules, pkiMount},
		"pipeline rotates": {pipelineRules, "/rotate"},
		"pipeline retires": {pipelineRules, "/config"},
		"pipeline calls":   {pipelineRules, pkiMount},
		"person signs":     {personRules, transitMount},
	} {
		if strings.Contains(has.rules, has.not) {
			t.Errorf("%s: the policy has %q", name, has.not)
		}
	}
	if strings.Count(pipelineRules, `"exportable" = [false]`) != 1 || strings.Count(operatorRules, "allowed_parameters") != 1 {
		t.Error("keys can be made to leave Vault")
	}
}
