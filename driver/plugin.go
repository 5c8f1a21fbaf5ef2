package driver

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc"
)

// handshake is Nomad's for plugins of protocol version 2. The cookie is public: it tells a person who starts the file
// from Nomad.
var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  2,
	MagicCookieKey:   "NOMAD_PLUGIN_MAGIC_COOKIE",
	MagicCookieValue: "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
}

// Driver serves Nomad's base and driver plugin services. Nomad starts a plugin several times only to ask what it is,
// so making one has no effect outside.
type Driver struct {
	baseproto.UnimplementedBasePluginServer
	proto.UnimplementedDriverServer

	log    hclog.Logger
	events eventQueue
	tasks  table

	mu      sync.Mutex
	hosts   map[string]*hostProcess // by data directory
	current *hostProcess            // of the data directory that is configured; nil until one is
	problem error                   // why no task can be started with the configuration, or nil
	coreMHz float64                 // speed of one core, as Nomad counts it; 0 if it is not known
}

// New returns a driver that logs to log and has no configuration yet.
func New(log hclog.Logger) *Driver {
	return &Driver{
		log:    log,
		events: newEventQueue(),
		tasks:  newTable(),
		hosts:  map[string]*hostProcess{},
	}
}

// Serve runs the plugin over go-plugin's protocol on standard output until Nomad ends it.
func Serve() {
	// Nomad's agent may be killed and a new one take this plugin over: then nobody reads standard error any more, and
	// without this the next line of the log would end the plugin. Asking for the signal turns it into a write error.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	log := hclog.New(&hclog.LoggerOptions{Name: Name, Level: hclog.Trace, JSONFormat: true}) // Nomad filters
	d := New(log)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          log,
		Plugins: map[string]plugin.Plugin{
			"base":   service{register: func(s *grpc.Server) { baseproto.RegisterBasePluginServer(s, d) }},
			"driver": service{register: func(s *grpc.Server) { proto.RegisterDriverServer(s, d) }},
		},
	})
}

// service is one gRPC service of the plugin, as go-plugin wants it.
type service struct {
	plugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

// GRPCServer implements plugin.GRPCPlugin.
func (s service) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	s.register(server)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin; the client is Nomad's.
func (s service) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this plugin has a server only")
}
