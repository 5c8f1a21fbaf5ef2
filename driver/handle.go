package driver

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"

	"countersign/host/control"
	"countersign/strictjson"
)

// handleVersion is the version of handle's form. A driver reads its own version only.
const handleVersion = 1

// handle is what Nomad keeps of a running task, to find it again after the plugin or the agent was restarted.
type handle struct {
	DataDir   string    `json:"data_dir"` // of the host, which the plugin's configuration may have left since
	HostPID   int       `json:"host_pid"`
	HostTick  uint64    `json:"host_start_tick"` // with the PID, it names one process
	Function  string    `json:"function"`
	Artifact  string    `json:"artifact"`
	Address   string    `json:"address"`
	Port      int       `json:"port"`
	StartedAt time.Time `json:"started_at"`
}

func (h handle) host() hostID { return hostID{pid: h.HostPID, tick: h.HostTick} }

// network tells Nomad where services with address_mode = "driver" are: at the host's call listener.
func (h handle) network() *proto.NetworkOverride {
	return &proto.NetworkOverride{Addr: h.Address, PortMap: map[string]int32{portLabel: int32(h.Port)}}
}

// toNomad packs a handle for Nomad to keep.
func (h handle) toNomad(config *proto.TaskConfig) (*proto.TaskHandle, error) {
	state, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding the handle of task %s: %w", config.Id, err)
	}
	return &proto.TaskHandle{
		Version:     handleVersion,
		Config:      config,
		State:       proto.TaskState_RUNNING,
		DriverState: state,
	}, nil
}

// readHandle unpacks what toNomad packed.
func readHandle(kept *proto.TaskHandle) (handle, error) {
	var h handle
	if kept == nil || kept.Config == nil {
		return h, fmt.Errorf("recovering a task: Nomad sent no handle")
	}
	if kept.Version != handleVersion {
		return h, fmt.Errorf("recovering task %s: its handle has version %d, this driver reads version %d",
			kept.Config.Id, kept.Version, handleVersion)
	}
	if err := strictjson.DecodeOpen(kept.DriverState, &h); err != nil {
		return h, fmt.Errorf("recovering task %s: reading its handle: %w", kept.Config.Id, err)
	}
	return h, nil
}

// hostID names one host process for ever.
type hostID struct {
	pid  int
	tick uint64
}

func idOf(info control.Info) hostID { return hostID{pid: info.PID, tick: info.StartTick} }

// alive tells whether the process runs, and is not another one with the same PID.
func (id hostID) alive() bool {
	tick, err := control.StartTick(id.pid)
	return err == nil && tick == id.tick
}
