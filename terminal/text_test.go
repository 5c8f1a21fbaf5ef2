package terminal

import (
	"testing"
	"time"
)

func TestSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		440 * time.Millisecond:   "0.4 s",
		12400 * time.Millisecond: "12 s",
		325 * time.Second:        "5 min 25 s",
	} {
		if got := spoken(d); got != want {
			t.Errorf("spoken(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTextOfOthers(t *testing.T) {
	for text, want := range map[string]string{
		"a \x1b[31mred\n  line\t": "a [31mred line",
		"\u202egnp.exe":           "\ufffdgnp.exe",
		"bad \xff byte":           "bad byte",
		"":                        "",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", text, got, want)
		}
	}
	if got, want := Printable("tax\x1b[2J\n"), "tax\ufffd[2J\ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for columns, want := range map[int]string{0: "größer", 6: "größer", 5: "größ…", 1: "…"} {
		if got := cut("größer", columns); got != want {
			t.Errorf("cut to %d: %q, want %q", columns, got, want)
		}
	}
}
