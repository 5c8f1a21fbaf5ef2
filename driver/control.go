package driver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// signals are those with a meaning for a function: load what may have changed, and end.
var signals = []string{"SIGHUP", "SIGTERM", "SIGINT"}

// WaitTask returns when a task has ended, at once if it has; it may be called any number of times.
func (d *Driver) WaitTask(ctx context.Context, r *proto.WaitTaskRequest) (*proto.WaitTaskResponse, error) {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		return nil, errTaskNotFound
	}
	select {
	case <-t.ended:
		return &proto.WaitTaskResponse{Result: t.final.result, Err: t.final.reason}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// StopTask ends a task: it takes no new calls, and those in flight have up to the task's kill_timeout. kill_signal
// means nothing to a function, but for SIGKILL: then calls have no time at all.
func (d *Driver) StopTask(ctx context.Context, r *proto.StopTaskRequest) (*proto.StopTaskResponse, error) {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		return &proto.StopTaskResponse{}, nil
	}
	timeout := max(r.GetTimeout().AsDuration(), 0)
	if r.Signal == "SIGKILL" {
		timeout = 0
	}
	if err := t.stop(ctx, timeout); err != nil {
		return nil, err
	}
	return &proto.StopTaskResponse{}, nil
}

// DestroyTask drops what the driver and the host keep of an ended task; with force, it ends it first. Nomad also
// destroys by force what could not be recovered: then the host may know a task that this driver does not.
func (d *Driver) DestroyTask(ctx context.Context, r *proto.DestroyTaskRequest) (*proto.DestroyTaskResponse, error) {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		if r.Force {
			d.destroyUnknown(ctx, r.TaskId)
		}
		return nil, errTaskNotFound
	}
	if !t.hasEnded() {
		if !r.Force {
			return nil, status.Errorf(codes.FailedPrecondition, "task %s is running: stop it before it is destroyed", r.TaskId)
		}
		if err := t.stop(ctx, 0); err != nil {
			return nil, err
		}
	}
	d.tasks.remove(r.TaskId)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := forget(ctx, t.client, r.TaskId); err != nil {
		d.log.Warn("an ended task stays known to the host", "error", err)
	}
	return &proto.DestroyTaskResponse{}, nil
}

// destroyUnknown ends a task on the configured host, if that happens to know it.
func (d *Driver) destroyUnknown(ctx context.Context, id string) {
	host, _ := d.ready() // a wrong configuration starts nothing, but may well end something
	if host == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if err := host.client.Stop(ctx, id, 0); err == nil {
		d.log.Info("ended a task that could not be recovered", "task", id)
		if err := forget(ctx, host.client, id); err != nil {
			d.log.Warn("an ended task stays known to the host", "error", err)
		}
	}
}

// SignalTask passes on the signals that mean something to a function.
func (d *Driver) SignalTask(ctx context.Context, r *proto.SignalTaskRequest) (*proto.SignalTaskResponse, error) {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		return nil, errTaskNotFound
	}
	if !slices.Contains(signals, r.Signal) {
		return nil, status.Errorf(codes.InvalidArgument, "signal %q means nothing to a function: use %s",
			r.Signal, strings.Join(signals, ", "))
	}
	if err := t.client.Signal(ctx, r.TaskId, r.Signal); err != nil {
		return nil, fmt.Errorf("sending %s to task %s: %w", r.Signal, r.TaskId, err)
	}
	return &proto.SignalTaskResponse{}, nil
}

// InspectTask tells what is known about a task, from the host while it has it.
func (d *Driver) InspectTask(ctx context.Context, r *proto.InspectTaskRequest) (*proto.InspectTaskResponse, error) {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		return nil, errTaskNotFound
	}
	// Nomad's client converts both times and the result, also those of a task that runs.
	task := &proto.TaskStatus{
		Id:          t.config.Id,
		Name:        t.config.Name,
		State:       proto.TaskState_RUNNING,
		StartedAt:   timestamppb.New(t.handle.StartedAt),
		CompletedAt: timestamppb.New(time.Time{}),
		Result:      &proto.ExitResult{},
	}
	if t.hasEnded() {
		task.State = proto.TaskState_EXITED
		task.CompletedAt = timestamppb.New(t.final.at)
		task.Result = t.final.result
	}
	return &proto.InspectTaskResponse{
		Task:            task,
		Driver:          &proto.TaskDriverStatus{Attributes: t.attributes(ctx)},
		NetworkOverride: t.handle.network(),
	}, nil
}

// attributes are the facts about a task that only this driver has. Those that the host found out are missing when it
// does not answer.
func (t *task) attributes(ctx context.Context) map[string]string {
	_, digest, _ := strings.Cut(t.handle.Artifact, "@")
	attributes := map[string]string{
		"function": t.handle.Function,
		"artifact": t.handle.Artifact,
		"digest":   digest,
		"host_pid": strconv.Itoa(t.handle.HostPID),
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if s, err := t.client.Status(ctx, t.config.Id); err == nil {
		attributes["commit"] = s.Commit
		attributes["key_id"] = s.KeyID
	}
	return attributes
}

// ExecTask refuses: there is no process to run a command beside.
func (d *Driver) ExecTask(context.Context, *proto.ExecTaskRequest) (*proto.ExecTaskResponse, error) {
	return nil, errNoExec
}

// ExecTaskStreaming refuses as ExecTask does, but as a command would that failed: of an error of this stream, `nomad
// alloc exec` shows nothing.
func (d *Driver) ExecTaskStreaming(stream proto.Driver_ExecTaskStreamingServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for _, response := range []*proto.ExecTaskStreamingResponse{
		{Stderr: &proto.ExecTaskStreamingIOOperation{Data: []byte(noExec + "\n")}},
		{Stderr: &proto.ExecTaskStreamingIOOperation{Close: true}},
		{Stdout: &proto.ExecTaskStreamingIOOperation{Close: true}},
		{Exited: true, Result: &proto.ExitResult{ExitCode: 1}},
	} {
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}

const noExec = "a function has no shell and no files to run a command in; read its output with `nomad alloc logs`"

var errNoExec = status.Error(codes.Unimplemented, noExec)
