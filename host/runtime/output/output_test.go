package output

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", longestLine+5)
	tests := []struct {
		name   string
		writes []string
		want   []string // the lines that are handed on
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
			if strings.Join(got, "|") != strings.Join(tt.want, "|") || written.String() != strings.Join(tt.want, "") {
				t.Errorf("got %q, and %q was written; want %q", got, written.String(), tt.want)
			}
		})
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
	if want := "one ends\ntwo ends\n"; written.String() != want {
		t.Errorf("got %q, want %q", written.String(), want)
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
	if s.Dropped() != 6 {
		t.Errorf("%d bytes are counted as dropped, want 6", s.Dropped())
	}
}
