package driver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"

	"countersign/host/control"
)

// RecoverTask takes up a task that an earlier plugin started, if the same host process still runs. An error makes
// Nomad start the task anew. Nomad also asks about tasks that are long dead; for these the error is what it expects.
func (d *Driver) RecoverTask(ctx context.Context, r *proto.RecoverTaskRequest) (*proto.RecoverTaskResponse, error) {
	kept := r.GetHandle()
	h, err := readHandle(kept)
	if err != nil {
		return nil, err
	}
	if !d.tasks.reserve(kept.Config.Id) { // this plugin has it already
		return &proto.RecoverTaskResponse{}, nil
	}
	defer d.tasks.release(kept.Config.Id)
	if !h.host().alive() {
		return nil, fmt.Errorf("recovering task %s: its host process %d is gone", kept.Config.Id, h.HostPID)
	}
	d.mu.Lock()
	host := d.hostAt(control.HostConfig{DataDir: h.DataDir})
	d.mu.Unlock()
	if err := findTask(ctx, host, h, kept.Config.Id); err != nil {
		return nil, fmt.Errorf("recovering task %s: %w", kept.Config.Id, err)
	}
	t := newTask(kept.Config, h, host.client)
	d.tasks.add(t)
	go t.watch()
	d.log.Info("recovered a task", "task", kept.Config.Id, "function", h.Function, "host", h.HostPID)
	return &proto.RecoverTaskResponse{}, nil
}

// findTask makes sure that the host of a handle answers and knows the task. A live host that is too busy to answer at
// once gets a moment: to give up would start the function a second time.
func findTask(ctx context.Context, host *hostProcess, h handle, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		info, err := host.find(ctx)
		switch {
		case err == nil && idOf(info) != h.host():
			return fmt.Errorf("process %d serves %s, not process %d", info.PID, h.DataDir, h.HostPID)
		case err == nil:
			_, err = host.client.Status(ctx, id)
		}
		if err == nil || errors.Is(err, control.ErrUnknownTask) || !h.host().alive() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d does not answer: %w", h.HostPID, err)
		case <-time.After(retryTime):
		}
	}
}
