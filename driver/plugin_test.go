package driver

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/go-plugin"
	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	structs "github.com/hashicorp/nomad/plugins/shared/structs/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"countersign/host/control"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// running is a plugin process with the clients of its services, as Nomad has them.
type running struct {
	base    baseproto.BasePluginClient
	driver  proto.DriverClient
	process *os.Process
	events  chan *proto.DriverTaskEvent
}

// connections makes go-plugin hand out the bare connection.
type connections struct{ plugin.NetRPCUnsupportedPlugin }

func (connections) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("client only")
}

func (connections) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// startPlugin starts the plugin as Nomad does and configures it with a data directory; set changes the rest.
func startPlugin(t *testing.T, dir string, set map[string]any) *running {
	t.Helper()
	command := exec.Command(os.Args[0])
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          map[string]plugin.Plugin{"driver": connections{}},
		Cmd:              command,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatalf("starting the plugin: %v", err)
	}
	raw, err := protocol.Dispense("driver")
	if err != nil {
		t.Fatal(err)
	}
	connection := raw.(*grpc.ClientConn)
	p := &running{
		base:    baseproto.NewBasePluginClient(connection),
		driver:  proto.NewDriverClient(connection),
		process: command.Process,
		events:  make(chan *proto.DriverTaskEvent, 100),
	}
	config := map[string]any{"data_dir": dir, "vault": map[string]any{"address": "http://127.0.0.1:8200"}}
	for k, v := range set {
		config[k] = v
	}
	_, err = p.base.SetConfig(t.Context(), &baseproto.SetConfigRequest{
		MsgpackConfig:    pack(t, config),
		PluginApiVersion: apiVersion,
		NomadConfig: &baseproto.NomadConfig{Driver: &baseproto.NomadDriverConfig{Topology: &baseproto.ClientTopology{
			Cores: []*baseproto.ClientTopologyCore{{BaseSpeed: 3000}, {GuessSpeed: 1000}}}}},
	})
	if err != nil {
		t.Fatalf("SetConfig: %v", err)
	}
	p.listen(t)
	return p
}

func (p *running) listen(t *testing.T) {
	stream, err := p.driver.TaskEvents(t.Context(), &proto.TaskEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			event, err := stream.Recv()
			if err != nil {
				return
			}
			p.events <- event
		}
	}()
}

// expect waits for an event with this message.
func (p *running) expect(t *testing.T, message string) *proto.DriverTaskEvent {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case event := <-p.events:
			if event.Message == message {
				return event
			}
		case <-timeout:
			t.Fatalf("no event %q", message)
		}
	}
}

func (p *running) kill(t *testing.T) {
	t.Helper()
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin's end", func() bool { _, err := control.StartTick(p.process.Pid); return err != nil })
}

func (p *running) start(t *testing.T, task *proto.TaskConfig) *proto.StartTaskResponse {
	t.Helper()
	response, err := p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: task})
	if err != nil {
		t.Fatalf("StartTask: %v", err)
	}
	return response
}

func (p *running) wait(t *testing.T, id string) *proto.WaitTaskResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	response, err := p.driver.WaitTask(ctx, &proto.WaitTaskRequest{TaskId: id})
	if err != nil {
		t.Fatalf("WaitTask: %v", err)
	}
	return response
}

func pack(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.NewEncoder(&b, new(codec.MsgpackHandle)).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { endHost(t, dir) })
	return dir
}

func taskOf(t *testing.T, function string) *proto.TaskConfig {
	return &proto.TaskConfig{
		Id: "a1b2/run/0123abcd", Name: "run", AllocId: "a1b2", JobId: function, AllocDir: "/alloc",
		MsgpackDriverConfig: pack(t, map[string]any{"artifact": "registry:5000/fn/" + function + "@" + digest}),
	}
}

func hostPID(t *testing.T, dir string) int {
	t.Helper()
	info, err := control.NewClient(dir).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.PID
}

func TestWhatNomadAsksFirst(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	info, err := p.base.PluginInfo(t.Context(), &baseproto.PluginInfoRequest{})
	if err != nil || info.Name != "countersign" || info.Type != baseproto.PluginType_DRIVER ||
		strings.Join(info.PluginApiVersions, " ") != "v0.1.0" {
		t.Errorf("PluginInfo: %v, %v", info, err)
	}
	schema, err := p.base.ConfigSchema(t.Context(), &baseproto.ConfigSchemaRequest{})
	if err != nil || schema.Spec.GetObject().Attributes["vault"].GetBlockValue().GetName() != "vault" {
		t.Errorf("ConfigSchema: %v, %v", schema, err)
	}
	task, err := p.driver.TaskConfigSchema(t.Context(), &proto.TaskConfigSchemaRequest{})
	if err != nil || !task.Spec.GetObject().Attributes["artifact"].GetAttr().GetRequired() {
		t.Errorf("TaskConfigSchema: %v, %v", task, err)
	}
	can, err := p.driver.Capabilities(t.Context(), &proto.CapabilitiesRequest{})
	if err != nil || !can.Capabilities.SendSignals || can.Capabilities.Exec ||
		can.Capabilities.MountConfigs != proto.DriverCapabilities_NO_MOUNTS {
		t.Errorf("Capabilities: %v, %v", can, err)
	}
}

func TestTaskLife(t *testing.T) {
	dir := newDir(t)
	p := startPlugin(t, dir, nil)
	if _, err := control.NewClient(dir).Info(t.Context()); err == nil {
		t.Fatal("a host runs before the first task")
	}
	task := taskOf(t, "quote")
	response := p.start(t, task)
	network := response.NetworkOverride
	if network.GetAddr() != "127.0.0.1" || network.PortMap["call"] != 4650 || network.AutoAdvertise {
		t.Errorf("network: %v", network)
	}
	if e := p.expect(t, "verified"); e.AllocId != "a1b2" || e.TaskName != "run" || e.TaskId != task.Id {
		t.Errorf("event: %v", e)
	}
	inspected, err := p.driver.InspectTask(t.Context(), &proto.InspectTaskRequest{TaskId: task.Id})
	if err != nil || inspected.Task.State != proto.TaskState_RUNNING {
		t.Fatalf("InspectTask: %v, %v", inspected, err)
	}
	for name, want := range map[string]string{"function": "quote", "digest": digest, "commit": "c0ffee",
		"key_id": "transit/quote:v2", "host_pid": strconv.Itoa(hostPID(t, dir))} {
		if got := inspected.Driver.Attributes[name]; got != want {
			t.Errorf("attribute %s: %q, want %q", name, got, want)
		}
	}
	if _, err := p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: task}); err == nil {
		t.Error("a task was started twice")
	}
	if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id}); err == nil {
		t.Error("a running task was destroyed without force")
	}
	stop := &proto.StopTaskRequest{TaskId: task.Id, Timeout: durationpb.New(time.Second)}
	if _, err := p.driver.StopTask(t.Context(), stop); err != nil {
		t.Errorf("StopTask: %v", err)
	}
	for range 2 { // as often as Nomad likes
		if w := p.wait(t, task.Id); w.Err != "" || w.Result.ExitCode != 0 {
			t.Errorf("WaitTask: %v", w)
		}
	}
	if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id}); err != nil {
		t.Errorf("DestroyTask: %v", err)
	}
	if _, err := control.NewClient(dir).Status(t.Context(), task.Id); !errors.Is(err, control.ErrUnknownTask) {
		t.Errorf("the host still has a destroyed task: %v", err)
	}
}

func TestUnknownTask(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"WaitTask":    func() error { _, err := p.driver.WaitTask(ctx, &proto.WaitTaskRequest{}); return err },
		"InspectTask": func() error { _, err := p.driver.InspectTask(ctx, &proto.InspectTaskRequest{}); return err },
		"SignalTask":  func() error { _, err := p.driver.SignalTask(ctx, &proto.SignalTaskRequest{}); return err },
		"DestroyTask": func() error { _, err := p.driver.DestroyTask(ctx, &proto.DestroyTaskRequest{}); return err },
		"TaskStats": func() error {
			stream, err := p.driver.TaskStats(ctx, &proto.TaskStatsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		if err := call(); status.Convert(err).Message() != "task not found for given id" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.driver.StopTask(ctx, &proto.StopTaskRequest{}); err != nil {
		t.Errorf("StopTask: %v, want none", err)
	}
}

func TestStartThatFails(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	tag := taskOf(t, "quote")
	tag.MsgpackDriverConfig = pack(t, map[string]any{"artifact": "registry:5000/fn/quote:latest"})
	name := taskOf(t, "quote")
	name.JobId = "Quote/1"
	for what, test := range map[string]struct {
		task        *proto.TaskConfig
		message     string
		recoverable bool
	}{
		"refused":     {taskOf(t, "refused"), "start: refused", false},
		"unreachable": {taskOf(t, "unreachable"), "start: unreachable", true},
		"invalid":     {taskOf(t, "invalid"), "start: invalid", false},
		"internal":    {taskOf(t, "internal"), "start: internal", true},
		"tag":         {tag, "is not an OCI reference with a digest", false},
		"job ID":      {name, "is not a function's name", false},
		"nothing":     {&proto.TaskConfig{}, "no task ID", false},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: test.task})
			s := status.Convert(err)
			if !strings.Contains(s.Message(), test.message) || len(s.Details()) != 1 {
				t.Fatalf("got %v with %v", err, s.Details())
			}
			if r := s.Details()[0].(*structs.RecoverableError); r.Recoverable != test.recoverable {
				t.Errorf("recoverable: %t", r.Recoverable)
			}
		})
	}
	p.expect(t, "Refused: start: refused")
}

func TestTaskThatEnds(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	task := taskOf(t, "crash")
	p.start(t, task)
	w := p.wait(t, task.Id)
	if w.Err != "the module broke the calling convention" || w.Result.ExitCode != 2 || !w.Result.OomKilled {
		t.Errorf("WaitTask: %v", w)
	}
}

func TestSignals(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	task := taskOf(t, "quote")
	p.start(t, task)
	if _, err := p.driver.SignalTask(t.Context(), &proto.SignalTaskRequest{TaskId: task.Id, Signal: "SIGHUP"}); err != nil {
		t.Errorf("SIGHUP: %v", err)
	}
	p.expect(t, "got SIGHUP") // also shows that the host's events come through
	_, err := p.driver.SignalTask(t.Context(), &proto.SignalTaskRequest{TaskId: task.Id, Signal: "SIGWINCH"})
	if err == nil || !strings.Contains(err.Error(), "means nothing to a function") {
		t.Errorf("SIGWINCH: %v", err)
	}
	if _, err := p.driver.ExecTask(t.Context(), &proto.ExecTaskRequest{TaskId: task.Id}); err == nil ||
		!strings.Contains(err.Error(), "no shell") {
		t.Errorf("ExecTask: %v", err)
	}
}

func TestStats(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	task := taskOf(t, "quote")
	p.start(t, task)
	stream, err := p.driver.TaskStats(t.Context(),
		&proto.TaskStatsRequest{TaskId: task.Id, CollectionInterval: durationpb.New(50 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	var use *proto.TaskResourceUsage
	for range 2 {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		use = response.Stats.AggResourceUsage
	}
	if use.Cpu.Percent < 149 || use.Cpu.Percent > 151 || use.Cpu.TotalTicks < 2980 || use.Cpu.TotalTicks > 3020 {
		t.Errorf("one and a half cores of 2000 MHz: %v", use.Cpu)
	}
	if use.Memory.Rss != 3<<20 || use.Memory.MaxUsage != 4<<20 {
		t.Errorf("memory: %v", use.Memory)
	}
}

func TestFingerprint(t *testing.T) {
	for _, test := range []struct {
		set    map[string]any
		health proto.FingerprintResponse_HealthState
		reason string
	}{
		{nil, proto.FingerprintResponse_HEALTHY, "ready"},
		{map[string]any{"bind": "0.0.0.0", "port": 70000}, proto.FingerprintResponse_UNHEALTHY,
			`bind "0.0.0.0" is not an IP address of this node: it is where other nodes call this one; ` +
				`port 70000 is not a TCP port; 0 takes any free one`},
	} {
		p := startPlugin(t, newDir(t), test.set)
		stream, err := p.driver.Fingerprint(t.Context(), &proto.FingerprintRequest{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := stream.Recv()
		if err != nil || f.Health != test.health || f.HealthDescription != test.reason {
			t.Errorf("got %v, %v", f, err)
		}
		if f.Attributes["driver.countersign.host"].GetStringVal() != "idle" {
			t.Errorf("attributes: %v", f.Attributes)
		}
		_, err = p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: taskOf(t, "quote")})
		if healthy := test.health == proto.FingerprintResponse_HEALTHY; (err == nil) != healthy {
			t.Errorf("a start on a node that is healthy: %t: %v", healthy, err)
		}
	}
}

func TestHostKnowsNoSecret(t *testing.T) {
	for name, value := range map[string]string{"NOMAD_TOKEN": "secret", "VAULT_TOKEN": "secret",
		"COUNTERSIGN_CLUSTER": "c1", "SSL_CERT_FILE": "/ca.pem", "SSL_CERT_DIR": "/certs"} {
		t.Setenv(name, value)
	}
	dir := newDir(t)
	startPlugin(t, dir, nil).start(t, taskOf(t, "quote"))
	got, err := os.ReadFile(filepath.Join(dir, fileEnvironment))
	if err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(hostPID(t, dir))
	want := "sid=" + pid + " pid=" + pid + " vault=http://127.0.0.1:8200\nCOUNTERSIGN_CLUSTER=c1\n" +
		"SSL_CERT_FILE=/ca.pem\nSSL_CERT_DIR=/certs\n"
	if string(got) != want {
		t.Errorf("the host got %q, want %q", got, want)
	}
}

func TestHostThatCannotStart(t *testing.T) {
	dir := newDir(t)
	if err := os.WriteFile(filepath.Join(dir, fileBreak), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPlugin(t, dir, nil)
	_, err := p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: taskOf(t, "quote")})
	if err == nil || !strings.Contains(err.Error(), "it ended at once: the call listener's port is taken") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, fileBreak)); err != nil {
		t.Fatal(err)
	}
	p.start(t, taskOf(t, "quote"))
}

func TestRecoveryAfterPluginWasKilled(t *testing.T) {
	dir := newDir(t)
	first := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	handle := first.start(t, task).Handle
	pid := hostPID(t, dir)
	first.kill(t)

	second := startPlugin(t, dir, map[string]any{"data_dir": t.TempDir()}) // reconfigured in between
	if _, err := second.driver.RecoverTask(t.Context(), &proto.RecoverTaskRequest{Handle: handle}); err != nil {
		t.Fatalf("RecoverTask: %v", err)
	}
	if now := hostPID(t, dir); now != pid {
		t.Errorf("host %d became %d", pid, now)
	}
	if _, err := second.driver.SignalTask(t.Context(), &proto.SignalTaskRequest{TaskId: task.Id, Signal: "SIGHUP"}); err != nil {
		t.Errorf("SignalTask: %v", err)
	}
	if e := second.expect(t, "got SIGHUP"); e.AllocId != "a1b2" {
		t.Errorf("event: %v", e)
	}
	if _, err := second.driver.StopTask(t.Context(), &proto.StopTaskRequest{TaskId: task.Id}); err != nil {
		t.Errorf("StopTask: %v", err)
	}
	if w := second.wait(t, task.Id); w.Err != "" {
		t.Errorf("WaitTask: %v", w)
	}
}

func TestRecoveryThatIsRefused(t *testing.T) {
	dir := newDir(t)
	p := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	good := p.start(t, task).Handle
	state := string(good.DriverState)
	pid := strconv.Itoa(hostPID(t, dir))
	other := &proto.TaskConfig{Id: "a1b2/run/other"}
	for what, test := range map[string]struct {
		handle *proto.TaskHandle
		reason string
	}{
		"no handle":    {nil, "no handle"},
		"no config":    {&proto.TaskHandle{Version: 1, DriverState: good.DriverState}, "no handle"},
		"version":      {&proto.TaskHandle{Version: 2, Config: other, DriverState: good.DriverState}, "has version 2"},
		"no JSON":      {&proto.TaskHandle{Version: 1, Config: other, DriverState: []byte("{")}, "reading its handle"},
		"unknown task": {&proto.TaskHandle{Version: 1, Config: other, DriverState: good.DriverState}, "does not know"},
		"reused PID": {&proto.TaskHandle{Version: 1, Config: other, DriverState: []byte(strings.Replace(state,
			`"host_start_tick":`, `"host_start_tick":9`, 1))}, "host process " + pid + " is gone"},
	} {
		_, err := p.driver.RecoverTask(t.Context(), &proto.RecoverTaskRequest{Handle: test.handle})
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHostThatDies(t *testing.T) {
	dir := newDir(t)
	p := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	p.start(t, task)
	pid := hostPID(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if w := p.wait(t, task.Id); !strings.Contains(w.Err, "the host process "+strconv.Itoa(pid)+" died") {
			t.Errorf("WaitTask: %v", w)
		}
	}
	eventually(t, "the dead host to be reaped", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(pid))
		return errors.Is(err, os.ErrNotExist)
	})
	again := taskOf(t, "quote")
	again.Id = "a1b2/run/again"
	p.start(t, again)
	if now := hostPID(t, dir); now == pid {
		t.Errorf("host %d is still there", pid)
	}
	if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id}); err != nil {
		t.Errorf("destroying a dead host's task: %v", err)
	}
}

func TestHostThatLeftWhileIdle(t *testing.T) {
	dir := newDir(t)
	if err := os.WriteFile(filepath.Join(dir, fileLeave), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPlugin(t, dir, nil)
	for range 3 {
		task := taskOf(t, "quote")
		p.start(t, task)
		if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id, Force: true}); err != nil {
			t.Fatalf("DestroyTask: %v", err)
		}
	}
}

func TestForcedDestructionOfWhatWasNotRecovered(t *testing.T) {
	dir := newDir(t)
	first := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	first.start(t, task)
	first.kill(t)
	second := startPlugin(t, dir, nil)
	_, err := second.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id, Force: true})
	if status.Convert(err).Message() != "task not found for given id" {
		t.Errorf("DestroyTask: %v", err)
	}
	if _, err := control.NewClient(dir).Status(t.Context(), task.Id); !errors.Is(err, control.ErrUnknownTask) {
		t.Errorf("the task still runs: %v", err)
	}
}
