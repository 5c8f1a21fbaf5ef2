package output

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", longestLine+5)
	tests := []struct {
		name   string
		writes []string
		want   []string // the lines that are looked at
	}{
		{"a line", []string{"a\n"}, []string{"a\n"}},
		{"several at once", []string{"a\nb\n\nc"}, []string{"a\n", "b\n", "\n", "c"}},
		{"in pieces", []string{"a", "b", "c\nd"}, []string{"abc\n", "d"}},
		{"too long", []string{long, "\n"}, []string{long[:longestLine], "xxxxx\n"}},
		{"nothing", []string{""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var written bytes.Buffer
			var got []string
			s := New(&written)
			w := Lines{To: s, See: func(line []byte) { got = append(got, string(line)) }}
			for _, text := range tt.writes {
				if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("wrote %d of %d bytes, %v", n, len(text), err)
				}
			}
			w.Flush()
			s.Close()
			var lines string // each is ended
			for _, line := range tt.want {
				lines += "- " + strings.TrimSuffix(line, "\n") + "\n"
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") || unstamped(t, written.String()) != lines {
				t.Errorf("got %q, and %q was written; want %q", got, written.String(), tt.want)
			}
		})
	}
}

// unstamped returns log without the time before each line, which has to be now.
func unstamped(t *testing.T, log string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(log) {
		when, rest, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339, when)
		if err != nil || time.Since(at).Abs() > time.Minute || len(when) != len(stamp) || !strings.HasSuffix(when, "Z") {
			t.Errorf("the line %q does not begin with the time in UTC: %v", line, err)
		}
		b.WriteString(rest)
	}
	return b.String()
}

// TestLinesNameTheCall: what a line holds can't pass for another call's line.
func TestLinesNameTheCall(t *testing.T) {
	var written bytes.Buffer
	s := New(&written)
	call := ""
	w := Lines{To: s, Call: func() string { return call }}
	for _, id := range []string{"", "a-1", "a-2"} {
		call = id
		fmt.Fprintf(&w, "line of %q\n2026-01-01T00:00:00.000Z b-7 forged", id)
		w.Flush()
	}
	s.Close()
	const forged = " 2026-01-01T00:00:00.000Z b-7 forged\n"
	want := "- line of \"\"\n-" + forged + "a-1 line of \"a-1\"\na-1" + forged + "a-2 line of \"a-2\"\na-2" + forged
	if got := unstamped(t, written.String()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesOfSeveralWritersDoNotMix(t *testing.T) {
	var written bytes.Buffer
	s := New(&written)
	a, b := Lines{To: s}, Lines{To: s}
	for _, step := range []struct {
		to   *Lines
		text string
	}{{&a, "one "}, {&b, "two "}, {&a, "ends\n"}, {&b, "ends\n"}} {
		if _, err := step.to.Write([]byte(step.text)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if got, want := unstamped(t, written.String()), "- one ends\n- two ends\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHaltedWriterStops(t *testing.T) {
	s := New(nil)
	defer s.Close()
	w := Lines{To: s, Halted: func() bool { return true }}
	if _, err := w.Write([]byte("x")); !errors.Is(err, errHalted) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestReaderThatIsGone(t *testing.T) {
	s := New(failing{})
	w := Lines{To: s}
	if _, err := w.Write([]byte("hello\n")); err != nil {
		t.Error(err)
	}
	s.Close()
	if want := int64(len(stamp + " - hello\n")); s.Dropped() != want {
		t.Errorf("%d bytes are counted as dropped, want %d", s.Dropped(), want)
	}
}
