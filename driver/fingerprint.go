package driver

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
	structs "github.com/hashicorp/nomad/plugins/shared/structs/proto"
	"golang.org/x/sys/unix"

	"countersign/host/control"
	"countersign/host/native/cgroup"
	"countersign/host/native/files"
)

// fingerprintTime is how often a node's state is looked at.
const fingerprintTime = 15 * time.Second

// Fingerprint tells Nomad whether tasks can be placed on this node, at once and then from time to time.
func (d *Driver) Fingerprint(_ *proto.FingerprintRequest, stream proto.Driver_FingerprintServer) error {
	for {
		if err := stream.Send(d.fingerprint(stream.Context())); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(fingerprintTime):
		}
	}
}

func (d *Driver) fingerprint(ctx context.Context) *proto.FingerprintResponse {
	response := &proto.FingerprintResponse{
		Health:            proto.FingerprintResponse_HEALTHY,
		HealthDescription: "ready",
		Attributes: map[string]*structs.Attribute{
			"driver." + Name:              truth(true),
			"driver." + Name + ".version": text(control.Version),
			// What the native runtime needs to confine a process; functions in WebAssembly do without.
			"driver." + Name + ".landlock": number(int64(landlockABI())),
			"driver." + Name + ".cgroups":  text(cgroups()),
			// Jobs of native functions that have storage are placed by it.
			"driver." + Name + ".native_storage": text(nativeStorage()),
		},
	}
	host, configured := d.ready()
	problem := configured
	if problem == nil {
		problem = checkNode()
	}
	if problem != nil {
		response.Health = proto.FingerprintResponse_UNHEALTHY
		response.HealthDescription = strings.ReplaceAll(problem.Error(), "\n", "; ")
	}
	state := "idle" // none runs; the first task starts one
	if host != nil && configured == nil {
		address, port := host.call()
		if info, err := host.ask(ctx); err == nil {
			state, address, port = "running", info.Address, info.Port
		}
		// Jobs register their services with these, before a task and with it a host runs.
		response.Attributes["driver."+Name+".address"] = text(address)
		response.Attributes["driver."+Name+".port"] = text(strconv.Itoa(port))
	}
	response.Attributes["driver."+Name+".host"] = text(state)
	return response
}

// checkNode says what this node lacks.
func checkNode() error {
	if _, err := control.StartTick(os.Getpid()); err != nil {
		return fmt.Errorf("the driver can't watch processes: /proc is not as it needs it: %w", err)
	}
	return nil
}

// landlockABI returns the version of the kernel's Landlock interface (landlock_create_ruleset(2)), or 0 without it.
func landlockABI() int {
	const askVersion = 1 // LANDLOCK_CREATE_RULESET_VERSION
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, askVersion)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// cgroups returns the version of cgroups that native functions can be confined by, or "none".
func cgroups() string {
	version, err := cgroup.Version()
	if err != nil {
		return "none"
	}
	return version
}

// nativeStorage tells how the storage of native functions is counted here: "exact", or "none" where they can't have any.
func nativeStorage() string {
	const landlockForNative = 6
	if landlockABI() < landlockForNative || cgroups() == "none" || files.Supported() != nil {
		return "none"
	}
	return "exact"
}

func truth(v bool) *structs.Attribute {
	return &structs.Attribute{Value: &structs.Attribute_BoolVal{BoolVal: v}}
}

func text(v string) *structs.Attribute {
	return &structs.Attribute{Value: &structs.Attribute_StringVal{StringVal: v}}
}

func number(v int64) *structs.Attribute {
	return &structs.Attribute{Value: &structs.Attribute_IntVal{IntVal: v}}
}
