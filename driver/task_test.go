package driver

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	structs "github.com/hashicorp/nomad/plugins/shared/structs/proto"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"countersign/host/control"
)

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
		can.Capabilities.MountConfigs != proto.DriverCapabilities_ANY_MOUNTS {
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
	signal := &proto.SignalTaskRequest{TaskId: task.Id, Signal: "SIGHUP"}
	if _, err := p.driver.SignalTask(t.Context(), signal); err != nil {
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

func TestExecShowsWhyNot(t *testing.T) {
	p := startPlugin(t, newDir(t), nil)
	stream, err := p.driver.ExecTaskStreaming(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setup := &proto.ExecTaskStreamingRequest_Setup{TaskId: "x", Command: []string{"ls"}}
	if err := stream.Send(&proto.ExecTaskStreamingRequest{Setup: setup}); err != nil {
		t.Fatal(err)
	}
	var shown string
	for {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		shown += string(response.Stderr.GetData())
		if response.Exited {
			if response.Result.ExitCode != 1 || !strings.Contains(shown, "no shell") {
				t.Errorf("exit code %d, %q", response.Result.ExitCode, shown)
			}
			return
		}
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
		if got := f.Attributes["driver.countersign.cgroups"].GetStringVal(); !slices.Contains([]string{"v1", "v2", "mixed", "none"}, got) {
			t.Errorf("cgroups are %q", got)
		}
		// Services are registered with these before any host runs.
		port := f.Attributes["driver.countersign.port"].GetStringVal()
		if known := test.health == proto.FingerprintResponse_HEALTHY; (port != "" && port != "0") != known {
			t.Errorf("where the node takes calls is known: want %t, attributes: %v", known, f.Attributes)
		}
		_, err = p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: taskOf(t, "quote")})
		if healthy := test.health == proto.FingerprintResponse_HEALTHY; (err == nil) != healthy {
			t.Errorf("a start on a node that is healthy: %t: %v", healthy, err)
		}
	}
}
