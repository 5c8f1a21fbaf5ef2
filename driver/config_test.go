package driver

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc"

	"countersign/host/control"
)

func TestDefaultsNeedAVaultOnly(t *testing.T) {
	err := check(hostConfig(pluginConfig{}))
	if err == nil || !strings.HasPrefix(err.Error(), "vault.address is missing") {
		t.Errorf("an empty block: %v", err)
	}
	c := hostConfig(pluginConfig{Vault: vaultConfig{Address: "https://vault:8200"}})
	if err := check(c); err != nil {
		t.Errorf("a block with vault.address: %v", err)
	}
	want := control.Vault{Address: "https://vault:8200", AuthMount: "jwt-nomad", AuthRole: "countersign-function",
		TransitMount: "transit", PKIMount: "pki", PKIRole: "function"}
	if c.Vault != want || c.DataDir != "/var/lib/countersign" || c.TrustDomain != "countersign.local" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for attribute, change := range map[string]func(*control.HostConfig){
		"data_dir":                func(c *control.HostConfig) { c.DataDir = "var" },
		"bind":                    func(c *control.HostConfig) { c.Bind = "localhost" },
		"port":                    func(c *control.HostConfig) { c.Port = -1 },
		"trust_domain":            func(c *control.HostConfig) { c.TrustDomain = "spiffe://x" },
		"log_level":               func(c *control.HostConfig) { c.LogLevel = "loud" },
		"vault.address":           func(c *control.HostConfig) { c.Vault.Address = "vault:8200" },
		"vault.ca_cert":           func(c *control.HostConfig) { c.Vault.CACert = "ca.pem" },
		"consul.address":          func(c *control.HostConfig) { c.Consul.Address = "127.0.0.1:8500" },
		"consul.token_file":       func(c *control.HostConfig) { c.Consul.TokenFile = "token" },
		"telemetry.otlp_endpoint": func(c *control.HostConfig) { c.Telemetry.OTLPEndpoint = "collector" },
		"telemetry.sample_ratio":  func(c *control.HostConfig) { c.Telemetry.SampleRatio = 2 },
		"ingress.names":           func(c *control.HostConfig) { c.Ingress.Names = []string{"https://node"} },
		"ingress.max_calls":       func(c *control.HostConfig) { c.Ingress.MaxCalls = -1 },
		"ingress.jwt.issuer":      func(c *control.HostConfig) { c.Ingress.Issuers = []control.Issuer{{Issuer: "me", Audience: "a"}} },
		"registry.allow":          func(c *control.HostConfig) { c.Registry.Allow = []string{"https://registry.example"} },
		"registry.logins":         func(c *control.HostConfig) { c.Registry.Logins = "config.json" },
		"ingress.jwt of issuer": func(c *control.HostConfig) {
			c.Ingress.Issuers = []control.Issuer{{Issuer: "https://id.example", JWKSURL: "http://id.example/keys", Audience: "a"}}
		},
		"ingress.jwt of issuer http": func(c *control.HostConfig) {
			c.Ingress.Issuers = []control.Issuer{{Issuer: "http://id.example", Audience: "a"}}
		},
		"ingress.jwt.audience": func(c *control.HostConfig) { c.Ingress.Issuers = []control.Issuer{{Issuer: "https://id.example"}} },
	} {
		c := hostConfig(pluginConfig{Vault: vaultConfig{Address: "http://127.0.0.1:8200"}})
		change(&c)
		err := check(c)
		if err == nil || !strings.HasPrefix(err.Error(), attribute) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", attribute, err)
		}
	}
	secret := hostConfig(pluginConfig{Vault: vaultConfig{Address: "https://user:hunter2@vault:8200"}})
	if err := check(secret); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an address with a password: %v", err)
	}
}

// TestHostEnvironment: of the plugin's variables a host gets few, and none that leads to a secret or runs a program.
func TestHostEnvironment(t *testing.T) {
	for _, entry := range hostEnvironment(func(name string) (string, bool) { return "x", true }) {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "COUNTERSIGN_CLUSTER", "SSL_CERT_FILE", "SSL_CERT_DIR":
		default:
			t.Errorf("a host gets %s", name)
		}
	}
}

func TestCheckTask(t *testing.T) {
	for artifact, ok := range map[string]bool{
		"registry/fn/quote@" + digest:                  true,
		"registry:5000/fn/quote@" + digest:             true,
		"registry/fn/quote:v1@" + digest:               true,
		"registry/fn/quote:v1":                         false,
		"quote@" + digest:                              false,
		"registry/fn/quote@" + digest + "0":            false,
		"registry/fn/quote@" + strings.ToUpper(digest): false,
		"registry/fn/quote@sha512:" + digest[7:]:       false,
		"https://registry/fn/quote@" + digest:          false,
		"registry/fn/ quote@" + digest:                 false,
		"":                                             false,
	} {
		if err := checkTask(taskConfig{Artifact: artifact, Function: "quote"}); (err == nil) != ok {
			t.Errorf("artifact %q: %v", artifact, err)
		}
	}
	for function, ok := range map[string]bool{"quote": true, "q-1": true, strings.Repeat("q", 63): true,
		strings.Repeat("q", 64): false, "1q": false, "Quote": false, "a/b": false, "": false} {
		err := checkTask(taskConfig{Artifact: "registry/fn/quote@" + digest, Function: function})
		if (err == nil) != ok {
			t.Errorf("function %q: %v", function, err)
		}
	}
}

func TestStartRequest(t *testing.T) {
	task := taskOf(t, "quote")
	task.StdoutPath, task.StderrPath = "/logs/out", "/logs/err"
	task.Resources = &proto.Resources{
		AllocatedResources: &proto.AllocatedTaskResources{
			Memory: &proto.AllocatedMemoryResources{MemoryMb: 64},
			Cpu:    &proto.AllocatedCpuResources{CpuShares: 200},
		},
		LinuxResources: &proto.LinuxResources{CpusetCgroup: t.TempDir()}, // no cgroup v2 file system
	}
	got, err := startRequest(task)
	want := control.StartRequest{TaskID: task.Id, AllocID: "a1b2", Function: "quote",
		Artifact: "registry:5000/fn/quote@" + digest, AllocDir: "/alloc", IdentityFile: "/alloc/run/secrets/nomad_countersign.jwt",
		StdoutPath: "/logs/out", StderrPath: "/logs/err", MemoryBytes: 64 << 20, CPUShares: 200}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	task.JobId, task.ParentJobId = "quote/dispatch-1", "quote"
	if got, err := startRequest(task); err != nil || got.Function != "quote" {
		t.Errorf("a dispatched job: %+v, %v", got, err)
	}
	task.MsgpackDriverConfig = []byte{0xc1} // never used in msgpack
	if _, err := startRequest(task); err == nil {
		t.Error("a config block that is no msgpack was accepted")
	}
}

func TestMeter(t *testing.T) {
	start := time.Now()
	at := func(seconds, cpu float64) control.Stats {
		return control.Stats{Time: start.Add(time.Duration(seconds * 1e9)), CPU: time.Duration(cpu * 1e9)}
	}
	m := meter{coreMHz: 2000}
	for i, step := range []struct {
		stats          control.Stats
		percent, ticks float64
	}{
		{at(0, 7), 0, 0}, // no rate from one reading
		{at(1, 7.5), 50, 1000},
		{at(3, 10.5), 150, 3000},
		{at(3, 11), 0, 0}, // no time passed
		{at(4, 1), 0, 0},  // a counter that went back
	} {
		cpu := m.read("id", step.stats).AggResourceUsage.Cpu
		if d := cpu.Percent - step.percent; d > 1e-6 || d < -1e-6 {
			t.Errorf("reading %d: %v%%, want %v", i, cpu.Percent, step.percent)
		}
		if d := cpu.TotalTicks - step.ticks; d > 1e-4 || d < -1e-4 {
			t.Errorf("reading %d: %v ticks, want %v", i, cpu.TotalTicks, step.ticks)
		}
	}
}

func TestCoreSpeed(t *testing.T) {
	cores := []*baseproto.ClientTopologyCore{
		{BaseSpeed: 3000, MaxSpeed: 4000, GuessSpeed: 1}, {MaxSpeed: 2000, GuessSpeed: 1}, {GuessSpeed: 1000},
	}
	for want, topology := range map[float64]*baseproto.ClientTopology{
		0:    nil,
		2000: {Cores: cores},
		1000: {Cores: cores, OverrideTotalCompute: 3000},
	} {
		if got := coreSpeed(topology); got != want {
			t.Errorf("%v: %v MHz, want %v", topology, got, want)
		}
	}
}

// brokenStream is a stream of events that Nomad has left.
type brokenStream struct{ grpc.ServerStream }

func (brokenStream) Context() context.Context          { return context.Background() }
func (brokenStream) Send(*proto.DriverTaskEvent) error { return errors.New("left") }

func TestEventsWaitForNomad(t *testing.T) {
	d := New(nil)
	for range maxQueued + 1 {
		d.tell("alloc/run/1", "old", nil)
	}
	d.tell("alloc/task/with/slashes/1", "new", nil)
	if err := d.TaskEvents(nil, brokenStream{}); err == nil {
		t.Fatal("a broken stream went unnoticed")
	}
	kept := d.events.take()
	if len(kept) != maxQueued {
		t.Fatalf("%d events were kept, want %d", len(kept), maxQueued)
	}
	if e := kept[maxQueued-1]; e.AllocId != "alloc" || e.TaskName != "task/with/slashes" || e.Timestamp.Seconds == 0 {
		t.Errorf("the last event: %v", e)
	}
}

func TestHostLogIsMovedAside(t *testing.T) {
	dir := t.TempDir()
	p := newHostProcess(control.HostConfig{DataDir: dir}, nil, nil)
	log, err := p.openLog()
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Truncate(maxHostLog + 1); err != nil {
		t.Fatal(err)
	}
	log.Close()
	if log, err = p.openLog(); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if info, err := log.Stat(); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("the new log: %v, %v", info, err)
	}
	if info, err := os.Stat(log.Name() + ".1"); err != nil || info.Size() != maxHostLog+1 {
		t.Errorf("the old log: %v, %v", info, err)
	}
	if got := lastLine(log, 0); got != "it wrote nothing to its log" {
		t.Errorf("the last line of an empty log: %q", got)
	}
}

// TestBindIsOneAddress has hosts whose port would be open on every address of the node.
func TestBindIsOneAddress(t *testing.T) {
	for bind, fits := range map[string]bool{"192.0.2.1": true, "0.0.0.0": false, "::": false, "node.example": false} {
		err := check(hostConfig(pluginConfig{Bind: bind}))
		if refused := err != nil && strings.Contains(err.Error(), "bind "); refused == fits {
			t.Errorf("%s: %v", bind, err)
		}
	}
}
