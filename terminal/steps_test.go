package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// columns are steps that each row goes through.
var columns = []string{"describe", "sign", "publish", "render", "plan", "run", "wait"}

// story is a deploy of two functions, one of which is refused.
var story = []Event{
	{Step: "load", State: Active},
	{
		Step: "load", State: Done, Detail: "2 functions for environment dev",
		Duration: 12 * time.Millisecond,
	},
	{Row: "tax", Step: "describe", State: Pending},
	{Row: "quote", Step: "describe", State: Pending},
	{Row: "tax", Step: "describe", State: Done, Duration: 1500 * time.Millisecond},
	{Row: "quote", Step: "describe", State: Done, Duration: 999 * time.Millisecond},
	{Row: "tax", Step: "sign", State: Skipped, Detail: "attested by version 2"},
	{Row: "tax", Step: "wait", State: Active, Detail: "Driver: \x1b[31mred\nlines"},
	{
		Row: "tax", Step: "wait", State: Failed,
		Duration: 2 * time.Second,
	},
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	v := NewSteps(&out, "function", columns)
	for _, p := range story {
		v.Show(p)
	}
	v.Close()
	want := `*                load      done        12ms  2 functions for environment dev
tax              describe  done        1.5s
quote            describe  done       999ms
tax              sign      skipped      0ms  attested by version 2
tax              wait      failed      2.0s
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestTableEndsAsDrawn(t *testing.T) {
	for _, width := range []int{200, 60, 10} {
		var out bytes.Buffer
		v := &Steps{table: newStepTable(&block{w: &out, columns: func() int { return width }}, "function", columns)}
		for _, p := range story {
			v.Show(p)
		}
		v.Close()
		screen := replay(t, out.String())
		for _, line := range screen {
			if n := len([]rune(line)); n > width {
				t.Errorf("width %d: line %q has %d columns: it would wrap", width, line, n)
			}
			if strings.ContainsAny(line, "\x1b\r") {
				t.Errorf("control characters of others reach the terminal: %q", line)
			}
		}
		if width == 200 {
			got := strings.Join(screen, "\n") + "\n"
			file := filepath.Join("testdata", "steps.txt")
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("the screen shows (%v):\n%s\nwant:\n%s", err, got, want)
			}
		}
	}
}

var escape = regexp.MustCompile(`^\x1b\[(\d*)([AJK])`)

// replay does what a terminal does with the characters and escape sequences that a block uses. The cursor is in the
// last line of the returned screen, which has to be empty in the end: others print there.
func replay(t *testing.T, text string) []string {
	t.Helper()
	screen := []string{""}
	for text != "" {
		last := len(screen) - 1
		if at := escape.FindStringSubmatch(text); at != nil {
			switch at[2] {
			case "A":
				n, err := strconv.Atoi(at[1])
				if err != nil || n > last {
					t.Fatalf("cursor up by %q of %d lines", at[1], last)
				}
				screen = screen[:last-n+1]
				screen[last-n] = ""
				if !strings.HasPrefix(text[len(at[0]):], "\x1b[J") {
					t.Fatalf("nothing clears what is below: %q", text)
				}
			case "K", "J":
				screen[last] = ""
			}
			text = text[len(at[0]):]
			continue
		}
		if text[0] == '\r' && !strings.HasPrefix(text, "\r\x1b[K") {
			t.Fatalf("nothing clears the line: %q", text)
		}
		if text[0] == '\n' {
			screen = append(screen, "")
		} else if text[0] != '\r' {
			screen[last] += text[:1]
		}
		text = text[1:]
	}
	if screen[len(screen)-1] != "" {
		t.Fatalf("unfinished line %q", screen[len(screen)-1])
	}
	return screen[:len(screen)-1]
}
