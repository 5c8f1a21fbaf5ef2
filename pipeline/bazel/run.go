package bazel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// quiet has Bazel print what can be read by lines: no colours, no lines that replace others.
var quiet = []string{"--color=no", "--curses=no", "--show_progress_rate_limit=1"}

// run runs a command of Bazel and returns what it printed on each stream. The error is an *exec.ExitError if Bazel ran and
// was not content. tell is told how far it is.
func (w *Workspace) run(ctx context.Context, tell func(string), command string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, "bazel", append(append(append([]string{}, w.startup...), command), args...)...)
	cmd.Dir = w.dir
	// Bazel ends what it does at the first one, and goes on serving.
	cmd.Cancel = func() error { return cmd.Process.Signal(interrupt) }
	cmd.WaitDelay = time.Minute
	var out, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&all, &progressWriter{tell: tell})
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", "", context.Cause(ctx)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return "", "", fmt.Errorf("run Bazel in %s: %w", w.dir, err)
	}
	return out.String(), all.String(), err
}

// build runs build or test with the user's options.
func (w *Workspace) build(ctx context.Context, tell func(string), command string, args ...string) (stderr string, err error) {
	_, stderr, err = w.run(ctx, tell, command, append(append(append([]string{}, w.options...), quiet...), args...)...)
	return stderr, err
}

// query runs a query and returns the labels that it found.
func (w *Workspace) query(ctx context.Context, tell func(string), args ...string) (labels []string, stderr string, err error) {
	var options []string
	for _, o := range w.options {
		if strings.HasPrefix(o, "--override_repository=") {
			options = append(options, o)
		}
	}
	stdout, stderr, err := w.run(ctx, tell, "query", append(append(options, quiet...), args...)...)
	return strings.Fields(stdout), stderr, err
}

// partialSuccess is the exit code of a query with --keep_going that left out what it could not load.
const partialSuccess = 3

// queryDeps runs a query that follows dependencies. What of them can't be loaded is left out, since it can't be built
// either: Debian's Bazel 4 has tools for macOS that it can't load itself, and Go's rules name them.
func (w *Workspace) queryDeps(ctx context.Context, tell func(string), expression string) (labels []string, stderr string, err error) {
	labels, stderr, err = w.query(ctx, tell, "--keep_going", "--output=label", expression)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == partialSuccess {
		err = nil
	}
	return labels, stderr, err
}

// progressLine is what Bazel prints to show how far it is.
var progressLine = regexp.MustCompile(`^(Loading|Analyzing|Fetching|\[[0-9,]+ / [0-9,]+\])`)

// progressWriter hands on what tells how far Bazel is.
type progressWriter struct {
	tell func(string)
	line []byte
}

// Write implements io.Writer.
func (p *progressWriter) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c != '\n' && len(p.line) < 200:
			p.line = append(p.line, c)
		case c == '\n':
			if progressLine.Match(p.line) {
				p.tell(strings.ToValidUTF8(string(p.line), "?"))
			}
			p.line = p.line[:0]
		}
	}
	return len(b), nil
}
