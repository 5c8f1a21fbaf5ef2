package driver

import (
	"context"

	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"countersign/host/control"
)

const (
	// Name is what a job says: driver = "countersign".
	Name       = "countersign"
	apiVersion = "v0.1.0" // of Nomad's driver plugin interface
	portLabel  = "call"   // what a service with address_mode = "driver" calls the host's port
)

// PluginInfo implements the base plugin service.
func (d *Driver) PluginInfo(context.Context, *baseproto.PluginInfoRequest) (*baseproto.PluginInfoResponse, error) {
	return &baseproto.PluginInfoResponse{
		Type:              baseproto.PluginType_DRIVER,
		PluginApiVersions: []string{apiVersion},
		PluginVersion:     control.Version, // Nomad takes the highest of several files with the same driver
		Name:              Name,
	}, nil
}

// ConfigSchema tells Nomad what may stand in the agent's plugin block.
func (d *Driver) ConfigSchema(
	context.Context, *baseproto.ConfigSchemaRequest,
) (*baseproto.ConfigSchemaResponse, error) {
	vault := object(map[string]*hclspec.Spec{
		"address":       optional("address", "string"),
		"namespace":     optional("namespace", "string"),
		"ca_cert":       optional("ca_cert", "string"),
		"auth_mount":    optional("auth_mount", "string"),
		"auth_role":     optional("auth_role", "string"),
		"transit_mount": optional("transit_mount", "string"),
		"pki_mount":     optional("pki_mount", "string"),
		"pki_role":      optional("pki_role", "string"),
	})
	return &baseproto.ConfigSchemaResponse{Spec: object(map[string]*hclspec.Spec{
		"data_dir":     optional("data_dir", "string"),
		"bind":         optional("bind", "string"),
		"port":         optional("port", "number"),
		"trust_domain": optional("trust_domain", "string"),
		"plain_http":   optional("plain_http", "bool"),
		"log_level":    optional("log_level", "string"),
		"vault":        block("vault", vault),
		"registry": block("registry", object(map[string]*hclspec.Spec{
			"allow":  optional("allow", "list(string)"),
			"logins": optional("logins", "string"),
		})),
		"storage": block("storage", object(map[string]*hclspec.Spec{
			"allow": optional("allow", "list(string)"),
		})),
		"network": block("network", object(map[string]*hclspec.Spec{
			"allow_unix": optional("allow_unix", "list(string)"),
		})),
		"consul": block("consul", object(map[string]*hclspec.Spec{
			"address":    optional("address", "string"),
			"token_file": optional("token_file", "string"),
			"ca_cert":    optional("ca_cert", "string"),
			"datacenter": optional("datacenter", "string"),
		})),
		"ingress": block("ingress", object(map[string]*hclspec.Spec{
			"names":     optional("names", "list(string)"),
			"max_calls": optional("max_calls", "number"),
			"jwt": {Block: &hclspec.Spec_BlockList{BlockList: &hclspec.BlockList{Name: "jwt",
				Nested: object(map[string]*hclspec.Spec{
					"issuer":   optional("issuer", "string"),
					"jwks_url": optional("jwks_url", "string"),
					"audience": optional("audience", "string"),
					"ca_cert":  optional("ca_cert", "string"),
				})}}},
		})),
		"telemetry": block("telemetry", object(map[string]*hclspec.Spec{
			"otlp_endpoint": optional("otlp_endpoint", "string"),
			"otlp_ca_cert":  optional("otlp_ca_cert", "string"),
			"sample_ratio":  optional("sample_ratio", "number"),
		})),
	})}, nil
}

// TaskConfigSchema tells Nomad what may stand in a task's config block.
func (d *Driver) TaskConfigSchema(
	context.Context, *proto.TaskConfigSchemaRequest,
) (*proto.TaskConfigSchemaResponse, error) {
	return &proto.TaskConfigSchemaResponse{Spec: object(map[string]*hclspec.Spec{
		"artifact": required("artifact", "string"),
		"function": optional("function", "string"),
		"storage": blocks("storage", map[string]*hclspec.Spec{
			"tag": required("tag", "string"), "path": required("path", "string"), "access": required("access", "string"),
			"max_bytes": optional("max_bytes", "number"), "max_files": required("max_files", "number"),
			"source": required("source", "string"), "dir": optional("dir", "string"),
		}),
		"network": blocks("network", map[string]*hclspec.Spec{
			"tag": required("tag", "string"), "protocol": required("protocol", "string"), "listen": optional("listen", "bool"),
			"addresses": optional("addresses", "list(string)"), "service": optional("service", "string"),
			"unix": optional("unix", "string"), "tls": optional("tls", "string"),
			"tls_server_name": optional("tls_server_name", "string"), "tls_ca": optional("tls_ca", "string"), "max_connections": optional("max_connections", "number"),
			"max_bytes": optional("max_bytes", "number"), "max_bytes_per_second": optional("max_bytes_per_second", "number"),
		}),
	})}, nil
}

// Capabilities tells Nomad what the driver can do. A function has no file system of its own and sees no network
// namespace, so there is nothing to isolate on Nomad's side. Nomad says where volumes are; nothing is mounted for a task.
func (d *Driver) Capabilities(context.Context, *proto.CapabilitiesRequest) (*proto.CapabilitiesResponse, error) {
	return &proto.CapabilitiesResponse{Capabilities: &proto.DriverCapabilities{
		SendSignals:           true,
		FsIsolation:           proto.DriverCapabilities_NONE,
		NetworkIsolationModes: []proto.NetworkIsolationSpec_NetworkIsolationMode{proto.NetworkIsolationSpec_HOST},
		MountConfigs:          proto.DriverCapabilities_ANY_MOUNTS,
	}}, nil
}

func optional(name, kind string) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_Attr{Attr: &hclspec.Attr{Name: name, Type: kind}}}
}

func required(name, kind string) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_Attr{Attr: &hclspec.Attr{Name: name, Type: kind, Required: true}}}
}

// blocks is any number of blocks of one name.
func blocks(name string, attributes map[string]*hclspec.Spec) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_BlockList{BlockList: &hclspec.BlockList{Name: name, Nested: object(attributes)}}}
}

func block(name string, nested *hclspec.Spec) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_BlockValue{BlockValue: &hclspec.Block{Name: name, Nested: nested}}}
}

func object(attributes map[string]*hclspec.Spec) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_Object{Object: &hclspec.Object{Attributes: attributes}}}
}
