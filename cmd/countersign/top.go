package main

import (
	"context"
	"fmt"
	"time"

	"countersign/callgraph"
	"countersign/terminal"
)

const (
	topArgs    = "[-interval D] [-node HOST:PORT]..."
	topSummary = "watch functions and hosts: rates, latencies, calls in flight, errors, refusals"
)

func init() { register(command{"top", topArgs, topSummary, top}) }

func top(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "top", topArgs, topSummary+"\n\nIn a terminal it draws until q or Ctrl-C; into a pipe or a file it prints "+
		"one interval.")
	var o observer
	o.flags(fs, 2*time.Second)
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 0:
		return &usageError{"want no arguments"}
	case o.interval <= 0:
		return &usageError{"-interval: want a time over 0, such as 2s"}
	}
	if terminal.Is(s.out) {
		return o.watch(ctx, s)
	}
	w, lost, err := o.window(ctx)
	if err != nil {
		for _, e := range lost {
			fmt.Fprintf(s.err, "countersign top: left out: %v\n", e)
		}
		return err
	}
	for _, line := range (callgraph.Screen{Now: time.Now(), Notes: notes(lost, nil)}).Draw(w.Overview().Without(lost, &callgraph.Overview{})) {
		fmt.Fprintln(s.out, line)
	}
	return nil
}

// notes says which hosts are left out, and why there is nothing new.
func notes(lost []error, err error) []string {
	var notes []string
	for _, e := range lost {
		notes = append(notes, "left out: "+e.Error())
	}
	if err != nil {
		notes = append(notes, err.Error())
	}
	return notes
}

// watch draws to a terminal until the user ends it.
func (o *observer) watch(ctx context.Context, s streams) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	updates := make(chan update, 1)
	go o.observe(ctx, updates)
	first := update{overview: &callgraph.Overview{}, notes: []string{"asking the hosts"}}
	return terminal.Watch(ctx, s.in, s.out, first, updates, func(u update, width, height int) []string {
		screen := callgraph.Screen{Now: time.Now(), Width: width, Height: height, Color: terminal.Colored(s.out), Notes: u.notes}
		return screen.Draw(u.overview)
	})
}

// update is what there is to draw.
type update struct {
	overview *callgraph.Overview
	notes    []string
}

// observe sends what the hosts counted since the last time, every interval until ctx ends. Hosts have one interval to
// answer: one that is silent holds up nothing. While none answers, it sends the last overview with the reason.
func (o *observer) observe(ctx context.Context, updates chan<- update) {
	overview := &callgraph.Overview{}
	var before []*callgraph.Scrape
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		after, lost, err := o.scrapeWithin(ctx, max(o.interval, time.Second))
		last := overview
		switch {
		case err != nil:
		case before == nil: // rates over the hosts' lives are better than none for the first interval
			overview = callgraph.Total(after).Overview()
		default:
			overview = callgraph.Between(before, after).Overview()
		}
		overview = overview.Without(lost, last)
		if err == nil {
			before = after
		}
		select {
		case updates <- update{overview, notes(lost, err)}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
