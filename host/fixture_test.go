package host

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/wasm"
	"countersign/interfaces"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
	"countersign/vaultsign/identity/issue"
)

// TestMain also lets a host that a test makes have its modules compiled.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasm.CompileCommand {
		os.Exit(wasm.Compile(os.Args[2:], os.Stdin))
	}
	os.Exit(m.Run())
}

const trustDomain = "test.example"

func newAuthority(tb testing.TB) *identitytest.Authority {
	tb.Helper()
	return identitytest.NewAuthority(tb, trustDomain, time.Now())
}

// fixture is a host with tasks that were admitted by the test, not by Vault.
type fixture struct {
	tb   testing.TB
	ca   *identitytest.Authority
	host *Host
	face *interfaces.Document // of the tasks that are made next
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	return newFixtureOf(tb, newAuthority(tb))
}

// newFixtureOf makes a host of the trust domain that ca stands for.
func newFixtureOf(tb testing.TB, ca *identitytest.Authority) *fixture {
	tb.Helper()
	return newFixtureFrom(tb, ca, control.HostConfig{})
}

// newFixtureFrom is newFixtureOf with more of a configuration.
func newFixtureFrom(tb testing.TB, ca *identitytest.Authority, config control.HostConfig) *fixture {
	tb.Helper()
	f := &fixture{tb: tb, ca: ca}
	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trust.pem"), f.ca.PEM, 0o600); err != nil {
		tb.Fatal(err)
	}
	config.DataDir, config.Bind, config.TrustDomain = dir, "127.0.0.1", trustDomain
	config.Vault = control.Vault{Address: "http://127.0.0.1:1", AuthMount: "jwt", AuthRole: "function", PKIMount: "pki", PKIRole: "function"}
	h, err := New(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.cancel(); h.stopAll() })
	f.host = h
	return f
}

// run makes a callable task. edit may change its spec and runtime first.
func (f *fixture) run(function string, spec hclspec.Function, edit func(*task)) *task {
	f.tb.Helper()
	id, err := identity.FunctionID(trustDomain, function)
	if err != nil {
		f.tb.Fatal(err)
	}
	spec.Name = function
	if spec.Call.Timeout == 0 {
		spec.Call = hclspec.Call{Timeout: 5 * time.Second, MaxRequest: 1 << 20, MaxResponse: 1 << 20}
	}
	t := &task{spec: &spec, ended: make(chan struct{}),
		request:  control.StartRequest{TaskID: function + "-task", AllocID: function + "-alloc", Function: function},
		identity: issue.NewRenewer(f.ca.Identity(f.tb, id), issue.RenewerConfig{})}
	t.status = control.Status{TaskID: t.request.TaskID, AllocID: t.request.AllocID, Function: function, State: control.Running}
	edit(t)
	t.instance = f.host.calls.Prepare(calls.InstanceConfig{Allocation: t.request.AllocID, Spec: t.spec, SVID: id, Identity: t.identity.Current,
		Interface: f.face})
	f.host.mu.Lock()
	f.host.tasks[t.request.TaskID] = t
	f.host.mu.Unlock()
	f.host.calls.Add(t.instance, t.runtime)
	return t
}

// load gives a task a WebAssembly runtime.
func (f *fixture) load(t *task, module []byte) {
	f.tb.Helper()
	in, err := f.host.engine.Load(context.Background(), module, wasm.Options{Options: runtime.Options{
		Function: t.request.Function, Caller: outbound{t},
		Limits: limits.Limits{Memory: 128 << 20, Concurrency: 4, MaxReply: t.spec.Call.MaxResponse}}})
	if err != nil {
		f.tb.Fatal(err)
	}
	t.runtime = in
}

// outbound makes the calls of a task, whose instance may be made later.
type outbound struct{ task *task }

// Call implements countersign.Caller.
func (o outbound) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) ([]byte, error) {
	return o.task.instance.Call(ctx, parent, callee, request)
}

var guests struct {
	sync.Mutex
	modules map[string][]byte
}

// guest compiles the function in a directory, once per run.
func guest(tb testing.TB, dir string) []byte {
	tb.Helper()
	name := filepath.Base(dir)
	guests.Lock()
	defer guests.Unlock()
	if m := guests.modules[name]; m != nil {
		return m
	}
	file := filepath.Join(tb.TempDir(), name+".wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("compiling guest %s: %v\n%s", name, err, out)
	}
	m, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	if guests.modules == nil {
		guests.modules = map[string][]byte{}
	}
	guests.modules[name] = m
	return m
}
