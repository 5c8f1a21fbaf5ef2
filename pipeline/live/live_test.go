package live

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/pipeline/progress"
)

// story is a deploy of two functions, one of which is refused.
var story = []progress.Progress{
	{Step: progress.StepLoad, State: progress.Active},
	{
		Step: progress.StepLoad, State: progress.Done, Detail: "2 functions for environment dev",
		Duration: 12 * time.Millisecond,
	},
	{Function: "tax", Step: progress.StepDescribe, State: progress.Pending},
	{Function: "quote", Step: progress.StepDescribe, State: progress.Pending},
	{Function: "tax", Step: progress.StepDescribe, State: progress.Done, Duration: 1500 * time.Millisecond},
	{Function: "quote", Step: progress.StepDescribe, State: progress.Done, Duration: 999 * time.Millisecond},
	{Function: "tax", Step: progress.StepSign, State: progress.Skipped, Detail: "attested by version 2"},
	{Function: "tax", Step: progress.StepWait, State: progress.Active, Detail: "Driver: \x1b[31mred\nlines"},
	{
		Function: "tax", Step: progress.StepWait, State: progress.Failed, Err: errors.New("refused"),
		Duration: 2 * time.Second,
	},
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	v := New(&out, progress.FunctionSteps)
	for _, p := range story {
		v.Observe(p)
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
		v := newTable(&out, progress.FunctionSteps, func() int { return width })
		for _, p := range story {
			v.Observe(p)
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
			file := filepath.Join("testdata", "table.txt")
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("the screen shows (%v):\n%s\nwant:\n%s", err, got, want)
			}
		}
	}
}

var escape = regexp.MustCompile(`\x1b\[(\d*)([AJ])`)

// replay does what a terminal does with the two escape sequences that the table uses.
func replay(t *testing.T, text string) []string {
	t.Helper()
	var screen []string
	for text != "" {
		if at := escape.FindStringSubmatchIndex(text); at != nil && at[0] == 0 {
			if text[at[4]:at[5]] == "A" {
				n, err := strconv.Atoi(text[at[2]:at[3]])
				if err != nil || n > len(screen) {
					t.Fatalf("cursor up by %q of %d lines", text[at[2]:at[3]], len(screen))
				}
				screen = screen[:len(screen)-n]
			}
			text = text[at[1]:]
			continue
		}
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			t.Fatalf("unfinished line %q", text)
		}
		screen, text = append(screen, line), rest
	}
	return screen
}
