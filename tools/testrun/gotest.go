package testrun

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Test is one test or, with Name "", one package as a whole.
type Test struct {
	Package, Name string
	Time          time.Duration
	Failed        bool
	Skipped       bool
}

// Results are what is read of the output of commands that call `go test -json`.
type Results struct {
	Tests    []Test   // those that ended, without subtests; packages after their tests
	Lines    []string // what go test prints without -json of packages that passed, and everything that is not go test's
	Failures []string // what it prints of packages that failed
	pending  map[string]*packageOutput
}

// packageOutput is what a package has printed so far.
type packageOutput struct {
	lines []line
	open  map[string]string // output without an end of line, by test
}

type line struct{ test, text string }

// event is one line of go test -json, see "go doc test2json".
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// Read reads output until it ends. It copies to log what go test -v would have printed.
func (r *Results) Read(output io.Reader, log io.Writer) error {
	in := bufio.NewReader(output)
	for {
		text, err := in.ReadString('\n')
		if text != "" {
			if err := r.take(text, log); err != nil {
				return fmt.Errorf("keeping the output: %w", err)
			}
		}
		if err == io.EOF {
			r.finish()
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the output of tests: %w", err)
		}
	}
}

func (r *Results) take(text string, log io.Writer) error {
	var e event
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &e) != nil || e.Action == "" {
		r.Lines = append(r.Lines, strings.TrimRight(text, "\n"))
		_, err := io.WriteString(log, text)
		return err
	}
	_, err := io.WriteString(log, e.Output)
	switch e.Action {
	case "build-output":
		r.Failures = append(r.Failures, strings.TrimRight(e.Output, "\n"))
	case "output":
		r.of(e.Package).add(e.Test, e.Output)
	case "pass", "fail", "skip":
		r.ended(e)
	}
	return err
}

func (r *Results) of(pkg string) *packageOutput {
	if r.pending == nil {
		r.pending = map[string]*packageOutput{}
	}
	if r.pending[pkg] == nil {
		r.pending[pkg] = &packageOutput{open: map[string]string{}}
	}
	return r.pending[pkg]
}

// add puts pieces together to lines, and leaves out what only -v prints.
func (p *packageOutput) add(test, text string) {
	text = p.open[test] + text
	delete(p.open, test)
	if !strings.HasSuffix(text, "\n") {
		p.open[test] = text
		return
	}
	for _, verbose := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "} {
		if strings.HasPrefix(text, verbose) {
			return
		}
	}
	p.lines = append(p.lines, line{test, strings.TrimSuffix(text, "\n")})
}

// ended takes the end of a test or of a package.
func (r *Results) ended(e event) {
	t := Test{Package: e.Package, Name: e.Test, Time: time.Duration(e.Elapsed * float64(time.Second)),
		Failed: e.Action == "fail", Skipped: e.Action == "skip"}
	p := r.of(e.Package)
	if t.Name != "" {
		if !t.Failed {
			p.lines = slices.DeleteFunc(p.lines, func(l line) bool { return l.test == t.Name })
		}
		if !strings.Contains(t.Name, "/") {
			r.Tests = append(r.Tests, t)
		}
		return
	}
	r.Tests = append(r.Tests, t)
	delete(r.pending, e.Package)
	for _, l := range p.lines {
		switch {
		case t.Failed:
			r.Failures = append(r.Failures, l.text)
		case strings.HasPrefix(l.text, "ok "):
			r.Lines = append(r.Lines, l.text)
		}
	}
}

// finish counts packages whose end was never told as failed: go test itself was ended.
func (r *Results) finish() {
	for pkg, p := range r.pending {
		r.Tests = append(r.Tests, Test{Package: pkg, Failed: true})
		for _, l := range p.lines {
			r.Failures = append(r.Failures, l.text)
		}
		r.Failures = append(r.Failures, fmt.Sprintf("FAIL\t%s [it did not end]", pkg))
	}
	r.pending = nil
}
