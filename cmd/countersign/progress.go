package main

import (
	"io"

	"countersign/pipeline"
	"countersign/terminal"
)

// progress shows a person what the pipeline does. It has to be closed before anything else is printed.
type progress struct{ *terminal.Steps }

// newProgress returns what shows progress on w; steps are those that each function goes through.
func newProgress(w io.Writer, steps []pipeline.Step) progress {
	columns := make([]string, len(steps))
	for i, step := range steps {
		columns[i] = string(step)
	}
	return progress{terminal.NewSteps(w, "function", columns)}
}

// states are those of the pipeline, as the terminal knows them.
var states = map[pipeline.State]terminal.State{
	pipeline.Pending: terminal.Pending,
	pipeline.Active:  terminal.Active,
	pipeline.Done:    terminal.Done,
	pipeline.Skipped: terminal.Skipped,
	pipeline.Failed:  terminal.Failed,
}

// Observe implements pipeline.Observer.
func (p progress) Observe(e pipeline.Progress) {
	p.Show(terminal.Event{Row: e.Function, Step: string(e.Step), State: states[e.State], Detail: e.Detail,
		Duration: e.Duration})
}
