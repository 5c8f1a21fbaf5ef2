package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"countersign/terminal"
)

// DownOptions say what Down takes away.
type DownOptions struct {
	Dir      string    // "" is DefaultDir
	Purge    bool      // remove the directory with keys, artifacts and logs
	Progress io.Writer // nil is silent
}

// drainTime bounds how long Nomad may take to stop its tasks before they are ended without it.
const drainTime = 30 * time.Second

// Down stops the cluster and removes every process, mount and cgroup of it, whatever state it is in. What the servers
// keep stays unless o.Purge is set: Up then continues with the same keys, artifacts and jobs. It is no error if the
// cluster is down.
func Down(ctx context.Context, o DownOptions) error {
	log := logOf(o.Progress)
	d, err := open(o.Dir)
	if err != nil {
		return err
	}
	if _, err := d.load(); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, log)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := d.load()
	if err != nil {
		return err
	}
	if err := tearDown(ctx, d, s, log); err != nil || !o.Purge {
		return err
	}
	if err := purge(d, s); err != nil {
		return err
	}
	return unlink(o.Dir)
}

// tearDown stops everything and looks whether something is left. Each step runs whatever became of the one before.
func tearDown(ctx context.Context, d dir, s *state, log *terminal.Log) error {
	step := log.Start("down", "stopping")
	noted := d.noteAllocations(s, nil)
	mended := undoFaults(ctx, s)
	step.Detail("stopping tasks")
	if err := stopTasks(ctx, d, s); err != nil {
		log.Printf("%-9s tasks are ended without Nomad: %v", "nomad", err)
	}
	step.Detail("stopping servers")
	// The errors of these are told by what is left.
	stopServers(ctx, d, s)
	step.Detail("looking for what is left")
	errs := []error{noted, mended, endMembers(ctx, d, s), unmount(d), removeCgroups(ctx, d, s)}
	left, err := findLeftover(d, s)
	if err = errors.Join(append(errs, err)...); err == nil && !left.None() {
		err = fmt.Errorf("cluster in %s is not completely down: %+v", d.root, left)
	}
	if err != nil {
		step.Fail(err)
		return err
	}
	for _, server := range s.servers() {
		os.Remove(d.path("run", server.name+".json"))
	}
	clearTemp(d)
	s.Allocations = nil
	if err := d.save(s); err != nil {
		return err
	}
	step.Done("nothing of the cluster runs")
	return nil
}

// stopTasks lets Nomad stop its tasks and forget their directories. The jobs stay registered: draining the nodes, which
// Up undoes, is what makes them wait. endMembers ends what is left where Nomad does not run.
func stopTasks(ctx context.Context, d dir, s *state) error {
	rec, err := d.record("nomad")
	if err != nil || !rec.alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	client := rest{base: s.address("nomad")}
	quick, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	nodes, err := liveNodes(quick, client, d, s)
	if err != nil {
		return err
	}
	if err := drain(quick, client, nodes, d, s); err != nil {
		return err
	}
	for {
		running, err := stillRunning(ctx, client, nodes)
		if err == nil && running == 0 {
			break
		}
		if err == nil {
			err = fmt.Errorf("%d allocations still run", running)
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
	for _, id := range nodes {
		// This unmounts what the allocations' directories held.
		err = errors.Join(err, client.put(ctx, "/v1/client/gc?node_id="+id, nil, nil))
	}
	return err
}

// liveNodes returns the IDs of the nodes whose Nomad runs.
func liveNodes(ctx context.Context, client rest, d dir, s *state) (ids []string, err error) {
	for _, number := range s.nodes() {
		if rec, err := d.record(agent("nomad", number)); err != nil || !rec.alive() {
			continue
		}
		node, err := findNode(ctx, client, s.nodeName(number))
		if err != nil {
			return nil, err
		}
		ids = append(ids, node.ID)
	}
	return ids, nil
}

// drain makes nodes stop their allocations, which it notes first.
func drain(ctx context.Context, client rest, nodes []string, d dir, s *state) error {
	var known []string
	for _, id := range nodes {
		allocs, err := nodeAllocations(ctx, client, id)
		if err != nil {
			return err
		}
		known = append(known, allocs.ids()...)
	}
	s.Drained = true
	if err := d.noteAllocations(s, known); err != nil {
		return err
	}
	if len(nodes) > 1 { // or what is drained from one goes to the next
		closed := map[string]string{"Eligibility": "ineligible"}
		for _, id := range nodes {
			if err := client.put(ctx, "/v1/node/"+id+"/eligibility", closed, nil); err != nil {
				return fmt.Errorf("close the node: %w", err)
			}
		}
	}
	// A deadline below zero stops everything at once instead of waiting for places on other nodes.
	order := map[string]any{"DrainSpec": map[string]any{"Deadline": -1, "IgnoreSystemJobs": false}}
	for _, id := range nodes {
		if err := client.put(ctx, "/v1/node/"+id+"/drain", order, nil); err != nil {
			return fmt.Errorf("drain the node: %w", err)
		}
	}
	return nil
}

// stillRunning counts the allocations of nodes that have not ended.
func stillRunning(ctx context.Context, client rest, nodes []string) (n int, err error) {
	for _, id := range nodes {
		allocs, err := nodeAllocations(ctx, client, id)
		if err != nil {
			return 0, err
		}
		n += allocs.running()
	}
	return n, nil
}

// allocations is what is read of a node's allocations.
type allocations []struct{ ID, ClientStatus string }

func nodeAllocations(ctx context.Context, client rest, node string) (all allocations, err error) {
	err = client.get(ctx, "/v1/node/"+node+"/allocations", &all)
	return all, err
}

func (all allocations) ids() []string {
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.ID
	}
	return ids
}

// running counts the allocations that have not ended.
func (all allocations) running() int {
	n := 0
	for _, a := range all {
		if a.ClientStatus != "complete" && a.ClientStatus != "failed" && a.ClientStatus != "lost" {
			n++
		}
	}
	return n
}

// stopServers asks every server to end and then makes it.
func stopServers(ctx context.Context, d dir, s *state) {
	var group sync.WaitGroup
	for _, server := range s.servers() {
		rec, err := d.record(server.name)
		if err != nil {
			continue
		}
		group.Go(func() { rec.stop(ctx, stopGrace) })
	}
	group.Wait()
}

// clearTemp removes the sockets of plugins that were killed.
func clearTemp(d dir) {
	entries, err := os.ReadDir(d.path("tmp"))
	if err != nil {
		return
	}
	for _, e := range entries {
		os.RemoveAll(d.path("tmp", e.Name()))
	}
}

// purge removes the directory. Nothing is mounted in it any more, which tearDown has made sure of.
func purge(d dir, s *state) error {
	// cluster.json goes last, so that an interrupted purge can be repeated.
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return fmt.Errorf("remove the cluster: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "cluster.json" {
			continue
		}
		if err := os.RemoveAll(d.path(e.Name())); err != nil {
			return fmt.Errorf("remove the cluster %s: %w", s.ID, err)
		}
	}
	if err := os.RemoveAll(d.root); err != nil {
		return fmt.Errorf("remove the cluster %s: %w", s.ID, err)
	}
	return nil
}
