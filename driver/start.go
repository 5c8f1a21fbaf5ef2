package driver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
	structs "github.com/hashicorp/nomad/plugins/shared/structs/proto"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"countersign/host/control"
)

// identityFile is where Nomad writes the token of a task's `identity { name = "countersign" file = true }` block.
const identityFile = "secrets/nomad_countersign.jwt"

// StartTask has the node's host run a function, and starts that host if there is none.
func (d *Driver) StartTask(ctx context.Context, r *proto.StartTaskRequest) (*proto.StartTaskResponse, error) {
	config := r.GetTask()
	host, err := d.ready()
	if err != nil {
		return nil, startError(fmt.Errorf("the driver's plugin block is wrong: %w", err), false)
	}
	request, err := startRequest(config)
	if err != nil {
		return nil, startError(err, false)
	}
	if !d.tasks.reserve(config.Id) {
		return nil, startError(fmt.Errorf("task %s has been started already", config.Id), false)
	}
	defer d.tasks.release(config.Id)
	reply, id, err := host.startTask(ctx, request)
	if err != nil {
		return nil, d.startFailed(ctx, config.Id, err)
	}
	d.forwardAll(config.Id, reply.Events)
	h := handle{
		DataDir:   host.dir(),
		HostPID:   id.pid,
		HostTick:  id.tick,
		Function:  request.Function,
		Artifact:  request.Artifact,
		Address:   reply.Address,
		Port:      reply.Port,
		StartedAt: time.Now(),
	}
	kept, err := h.toNomad(config)
	if err != nil {
		return nil, startError(err, false)
	}
	t := newTask(config, h, host.client)
	d.tasks.add(t)
	go t.watch()
	return &proto.StartTaskResponse{
		Result:          proto.StartTaskResponse_SUCCESS,
		Handle:          kept,
		NetworkOverride: h.network(),
	}, nil
}

// startRequest checks what Nomad sent and translates it for the host.
func startRequest(c *proto.TaskConfig) (control.StartRequest, error) {
	if c.GetId() == "" || c.AllocDir == "" || c.Name == "" {
		return control.StartRequest{}, errors.New("starting a task: Nomad sent no task ID, name or allocation directory")
	}
	var config taskConfig
	if err := decode(c.MsgpackDriverConfig, &config); err != nil {
		return control.StartRequest{}, fmt.Errorf("reading the config block of task %s: %w", c.Name, err)
	}
	if config.Function == "" {
		config.Function = c.JobId
		if c.ParentJobId != "" { // a dispatched or periodic job runs its parent's function
			config.Function = c.ParentJobId
		}
	}
	if err := checkTask(config); err != nil {
		return control.StartRequest{}, err
	}
	storage, err := bindStorage(config.Storage, c.Mounts)
	if err != nil {
		return control.StartRequest{}, err
	}
	resources := c.GetResources()
	return control.StartRequest{
		TaskID:       c.Id,
		AllocID:      c.AllocId,
		Function:     config.Function,
		Artifact:     config.Artifact,
		AllocDir:     c.AllocDir,
		IdentityFile: filepath.Join(c.AllocDir, c.Name, identityFile),
		StdoutPath:   c.StdoutPath,
		StderrPath:   c.StderrPath,
		MemoryBytes:  resources.GetAllocatedResources().GetMemory().GetMemoryMb() << 20,
		CPUShares:    resources.GetAllocatedResources().GetCpu().GetCpuShares(),
		CgroupPath:   cgroup2(resources.GetLinuxResources().GetCpusetCgroup()),
		Storage:      storage,
		Network:      bindNetwork(config.Network),
	}, nil
}

// cgroup2 returns path if it is a directory of a cgroup v2 hierarchy, and "" otherwise: on v1, Nomad gives the path of
// the cpuset controller alone, which is of no use for one process per task.
func cgroup2(path string) string {
	var fs unix.Statfs_t
	if path == "" || unix.Statfs(path, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return ""
	}
	return path
}

// startFailed tells the user why a start failed, and Nomad whether to try again: what was refused or malformed will
// be so the next time; what could not be reached or went wrong inside may work then.
func (d *Driver) startFailed(ctx context.Context, taskID string, err error) error {
	var failure *control.Failure
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	if !errors.As(err, &failure) {
		return startError(err, true)
	}
	d.forwardAll(taskID, failure.Events)
	if failure.Kind == control.Refused {
		d.tell(taskID, "Refused: "+failure.Message, map[string]string{"kind": string(failure.Kind)})
	}
	return startError(err, failure.Kind == control.Unreachable || failure.Kind == control.Internal)
}

// forwardAll passes on events that belong to one task.
func (d *Driver) forwardAll(taskID string, events []control.Event) {
	for _, event := range events {
		event.TaskID = taskID
		d.forward(event)
	}
}

// startError is how a start fails across gRPC. Nomad does not read the result and message fields of the response; it
// reads an error and whether that is recoverable, which is when the restart policy applies.
func startError(err error, recoverable bool) error {
	s, detailErr := status.New(codes.FailedPrecondition, err.Error()).
		WithDetails(&structs.RecoverableError{Recoverable: recoverable})
	if detailErr != nil {
		return err
	}
	return s.Err()
}
