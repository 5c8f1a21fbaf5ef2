package main

import (
	"io"

	"countersign/pipeline/progress"
	"countersign/terminal"
)

// progress shows a person what the pipeline does. It has to be closed before anything else is printed.
type progressView struct{ *terminal.Steps }

// newProgress returns what shows progress on w; steps are those that each function goes through.
func newProgress(w io.Writer, steps []progress.Step) progressView {
	columns := make([]string, len(steps))
	for i, step := range steps {
		columns[i] = string(step)
	}
	return progressView{terminal.NewSteps(w, "function", columns)}
}

// states are those of the pipeline, as the terminal knows them.
var states = map[progress.State]terminal.State{
	progress.Pending: terminal.Pending,
	progress.Active:  terminal.Active,
	progress.Done:    terminal.Done,
	progress.Skipped: terminal.Skipped,
	progress.Failed:  terminal.Failed,
}

// Observe implements progress.Observer.
func (v progressView) Observe(e progress.Progress) {
	if e.State == progress.Waiting {
		v.Note(e.Detail)
		return
	}
	v.Show(terminal.Event{Row: e.Function, Step: string(e.Step), State: states[e.State], Detail: e.Detail,
		Duration: e.Duration})
}
