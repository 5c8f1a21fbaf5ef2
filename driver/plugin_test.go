package driver

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/go-plugin"
	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc"

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

// configure gives the plugin a configuration as Nomad's agent does; set changes what is in the plugin block.
func (p *running) configure(t *testing.T, dir string, set map[string]any) {
	t.Helper()
	config := map[string]any{"data_dir": dir, "vault": map[string]any{"address": "http://127.0.0.1:8200"}}
	for k, v := range set {
		config[k] = v
	}
	_, err := p.base.SetConfig(t.Context(), &baseproto.SetConfigRequest{
		MsgpackConfig:    pack(t, config),
		PluginApiVersion: apiVersion,
		NomadConfig: &baseproto.NomadConfig{Driver: &baseproto.NomadDriverConfig{Topology: &baseproto.ClientTopology{
			Cores: []*baseproto.ClientTopologyCore{{BaseSpeed: 3000}, {GuessSpeed: 1000}}}}},
	})
	if err != nil {
		t.Fatalf("SetConfig: %v", err)
	}
	p.listen(t)
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
	p.configure(t, dir, set)
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
