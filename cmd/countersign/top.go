package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"countersign/callgraph"
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
	if out, ok := s.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		return watch(ctx, s.in, out, &o)
	}
	w, lost, err := o.window(ctx)
	if err != nil {
		for _, e := range lost {
			fmt.Fprintf(s.err, "countersign top: left out: %v\n", e)
		}
		return err
	}
	for _, line := range (callgraph.Screen{Now: time.Now(), Notes: notes(lost, nil)}).Draw(w.Overview()) {
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

// What terminals take for: use the other screen and hide the cursor; undo that; go to the first line; clear to the end
// of the line, and of the screen.
const (
	enter     = "\x1b[?1049h\x1b[?25l"
	leave     = "\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// watch draws to a terminal until the user ends it, and leaves the terminal as it was.
func watch(ctx context.Context, in io.Reader, out *os.File, o *observer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if keys, ok := in.(*os.File); ok && term.IsTerminal(int(keys.Fd())) {
		state, err := term.MakeRaw(int(keys.Fd()))
		if err != nil {
			return fmt.Errorf("take keys from the terminal one by one: %w", err)
		}
		defer term.Restore(int(keys.Fd()), state)
		go func() {
			waitForEnd(keys)
			stop()
		}()
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	fmt.Fprint(out, enter)
	defer fmt.Fprint(out, leave)

	updates := make(chan update, 1)
	go o.observe(ctx, updates)
	last := update{overview: &callgraph.Overview{}, notes: []string{"asking the hosts"}}
	for {
		draw(out, last)
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case last = <-updates:
		}
	}
}

// waitForEnd returns when the user types q, Ctrl-C or Ctrl-D, or can no longer type.
func waitForEnd(keys io.Reader) {
	var key [1]byte
	for {
		if _, err := keys.Read(key[:]); err != nil || strings.IndexByte("qQ\x03\x04", key[0]) >= 0 {
			return
		}
	}
}

// update is what there is to draw.
type update struct {
	overview *callgraph.Overview
	notes    []string
}

// observe sends what the hosts counted since the last time, every interval until ctx ends. While no host answers, it
// sends the last overview with the reason.
func (o *observer) observe(ctx context.Context, updates chan<- update) {
	overview := &callgraph.Overview{}
	var before []*callgraph.Scrape
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		after, lost, err := o.scrape(ctx)
		switch {
		case err != nil:
		case before == nil: // rates over the hosts' lives are better than none for the first interval
			overview = callgraph.Total(after).Overview()
		default:
			overview = callgraph.Between(before, after).Overview()
		}
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

// draw draws u over what is on the terminal.
func draw(out *os.File, u update) {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil {
		width, height = 80, 24
	}
	lines := callgraph.Screen{Now: time.Now(), Width: width, Height: height, Color: os.Getenv("NO_COLOR") == "",
		Notes: u.notes}.Draw(u.overview)
	// In raw mode a line feed does not return to the first column.
	fmt.Fprint(out, home+strings.Join(lines, clearLine+"\r\n")+clearLine+clearRest)
}
