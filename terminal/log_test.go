package terminal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPipeGetsWholeLinesOnly(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(&out)
	a := l.Start("vault", "building v1")
	a.Detail("hidden in a pipe")
	b := l.Start("consul", "")
	b.Done("ready at %s", "http://127.0.0.1:1")
	a.Fail(errors.New("no compiler"))
	a.Done("a step ends once")
	want := "vault     building v1 …\nconsul    ready at http://127.0.0.1:1 (0.0 s)\nvault     failed after 0.0 s\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestTerminalShowsWhatRuns(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(&out)
	l.live = &block{w: &out, columns: func() int { return 30 }}
	a := l.Start("nomad", "compiling a package with a long name")
	b := l.Start("vault", "")
	a.Done("ready")
	b.Done("ready")
	got := out.String()
	if !strings.Contains(got, "\r\x1b[K") || !strings.HasSuffix(got, "vault     ready (0.0 s)\n") {
		t.Errorf("unexpected screen %q", got)
	}
	for _, line := range strings.FieldsFunc(got, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if n := len([]rune(strings.TrimPrefix(line, "\x1b[K"))); n > 29 {
			t.Errorf("%q has %d columns, the terminal 30", line, n)
		}
	}
	if l.stop != nil {
		t.Error("the live line is still drawn after the last step")
	}
}

func TestNilLogShowsNothing(t *testing.T) {
	var l *Log
	l.Printf("x")
	s := l.Start("a", "b")
	s.Detail("c")
	s.Done("d")
	s.Fail(errors.New("e"))
}
