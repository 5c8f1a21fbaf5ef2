package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"countersign/host/control"
)

// TaskStats streams what one function uses, not the host, until the task has ended.
func (d *Driver) TaskStats(r *proto.TaskStatsRequest, stream proto.Driver_TaskStatsServer) error {
	t := d.tasks.get(r.TaskId)
	if t == nil {
		return errTaskNotFound
	}
	interval := r.GetCollectionInterval().AsDuration()
	if interval <= 0 {
		interval = time.Second
	}
	d.mu.Lock()
	meter := meter{coreMHz: d.coreMHz}
	d.mu.Unlock()
	for {
		stats, err := t.measure(stream.Context())
		if err == nil {
			err = stream.Send(&proto.TaskStatsResponse{Stats: meter.read(t.config.Id, stats)})
		}
		if err != nil && !t.hasEnded() && stream.Context().Err() == nil {
			return fmt.Errorf("measuring task %s: %w", t.config.Id, err)
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-t.ended:
			return nil
		case <-time.After(interval):
		}
	}
}

func (t *task) measure(ctx context.Context) (control.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	stats, err := t.client.Stats(ctx, t.config.Id)
	if errors.Is(err, control.ErrUnknownTask) {
		err = errTaskNotFound
	}
	return stats, err
}

// meter turns a growing CPU time into a rate. A task has one per stream.
type meter struct {
	coreMHz float64
	last    control.Stats
}

// read makes Nomad's form of a measurement. As with Nomad's own drivers, the percentage is of one core, and ticks are
// that share of the core's speed in MHz; the first reading has no rate yet.
func (m *meter) read(taskID string, s control.Stats) *proto.TaskStats {
	var percent float64
	passed, used := s.Time.Sub(m.last.Time), s.CPU-m.last.CPU
	if !m.last.Time.IsZero() && passed > 0 && used > 0 {
		percent = 100 * used.Seconds() / passed.Seconds()
	}
	m.last = s
	cpu := &proto.CPUUsage{
		Percent:        percent,
		MeasuredFields: []proto.CPUUsage_Fields{proto.CPUUsage_PERCENT},
	}
	if m.coreMHz > 0 {
		cpu.TotalTicks = percent / 100 * m.coreMHz // no measured field: nor do Nomad's drivers list it
	}
	memory := &proto.MemoryUsage{
		Rss:      uint64(max(s.MemoryBytes, 0)),
		Usage:    uint64(max(s.MemoryBytes, 0)),
		MaxUsage: uint64(max(s.MemoryMax, 0)),
		MeasuredFields: []proto.MemoryUsage_Fields{
			proto.MemoryUsage_RSS, proto.MemoryUsage_USAGE, proto.MemoryUsage_MAX_USAGE,
		},
	}
	return &proto.TaskStats{
		Id:               taskID,
		Timestamp:        timestamppb.New(s.Time),
		AggResourceUsage: &proto.TaskResourceUsage{Cpu: cpu, Memory: memory},
	}
}

// coreSpeed returns the mean speed of a core in MHz as Nomad's client counts it, or 0 if it sent none.
func coreSpeed(topology *baseproto.ClientTopology) float64 {
	var total, cores float64
	for _, core := range topology.GetCores() {
		cores++
		total += float64(cmp.Or(core.BaseSpeed, core.MaxSpeed, core.GuessSpeed))
	}
	if override := topology.GetOverrideTotalCompute(); override > 0 {
		total = float64(override)
	}
	if cores == 0 {
		return 0
	}
	return total / cores
}
