package hclspec

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0B": 0, "1B": 1, "3KiB": 3 << 10, "64MiB": 64 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40,
		"9000000TiB": math.MaxInt64, "99999999999999999999B": math.MaxInt64, // out of every range, not wrapped round
	} {
		if got, fix, ok := parseSize(text); !ok || got != want {
			t.Errorf("parseSize(%q) = %d, %q, %t; want %d", text, got, fix, ok, want)
		}
	}
	for text, hint := range map[string]string{
		"64": `"64MiB"`, "64M": `"64MiB"`, "64mb": `"64MiB"`, "64 MiB": `"64MiB"`, "64mib": `"64MiB"`, "1.5GiB": `"1536MiB"`,
		"1024 k": `"1MiB"`, "10 b": `"10B"`, "": "", "MiB": "", "x": "", "-1MiB": "", "0.3KiB": "", "1e3MiB": "",
		"999999999999999999TiB ": "",
	} {
		_, fix, ok := parseSize(text)
		if ok || !strings.Contains(fix, "whole number") || !strings.Contains(fix, hint) ||
			hint == "" && strings.Contains(fix, "Did you mean") {
			t.Errorf("parseSize(%q): %t, advice %q; want advice with %q", text, ok, fix, hint)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"2s": 2 * time.Second, "1m30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "10ms": 10 * time.Millisecond,
	} {
		if got, fix, ok := parseDuration(text); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %q, %t; want %v", text, got, fix, ok, want)
		}
	}
	for text, hint := range map[string]string{
		"2": `"2s"`, "2 s": `"2s"`, "2sec": `"2s"`, "5 min": `"5m"`, "1 hour": `"1h"`, "10 ms": `"10ms"`,
		"3 millis": `"3ms"`, "": "", "s": "", "1d": "",
	} {
		_, fix, ok := parseDuration(text)
		if ok || !strings.Contains(fix, "Write a number") || !strings.Contains(fix, hint) ||
			hint == "" && strings.Contains(fix, "Did you mean") {
			t.Errorf("parseDuration(%q): %t, advice %q; want advice with %q", text, ok, fix, hint)
		}
	}
}

func TestFormatUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1: "1B", 1024: "1KiB", 1536 << 20: "1536MiB", 1 << 40: "1TiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("formatSize(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", time.Millisecond: "1ms", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Second: "10s",
		time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"y", "memory", "cpu", "concurrency", "min", "max"}
	for name, want := range map[string]string{
		"memroy": "memory", "memori": "memory", "concurency": "concurrency", "cup": "cpu", "min": "", "zzz": "", "": "",
		"x":         "",
		"instances": "",
	} {
		if got := nearest(name, candidates); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestCheckLabel(t *testing.T) {
	for label, want := range map[string]bool{
		"@quote//:quote": true, "//:quote": true, "//a/b": true, "@@rules~1.0//a:b/c.d": true, "@q//a-b:c_d": true,
		"": false, "quote": false, ":quote": false, "//": false, "@q//": false, "@//a": false, "//a//b": false,
		"//a/": false, "//a:": false, "//a:b:c": false, "//../a": false, "//a:./b": false, "//a b": false, "@q/a": false,
	} {
		r := &reader{}
		got := r.checkLabel(label, hcl.Range{})
		if got != want || got == r.diags.HasErrors() {
			t.Errorf("checkLabel(%q) = %t with %v, want %t", label, got, r.diags, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for src, want := range map[string]string{
		"function \"a\" {}": KindFunctions, "functoin \"a\" {}": KindFunctions, "environment \"dev\" {}": KindEnvironment,
		"enviroment \"dev\" {}": KindEnvironment, "# x\n function \"a {\n": KindFunctions,
		"function \"a\" {\nx = " + strings.Repeat("[", 100): KindFunctions,
		"": "", "job \"a\" {}": "", "job \"a\" {": "", "path \"function\" {}": "", "x = \"function\"": "",
	} {
		if got := KindOf([]byte(src)); got != want {
			t.Errorf("KindOf(%q) = %q, want %q", src, got, want)
		}
	}
}

func TestDigest(t *testing.T) {
	// The digest of nothing, as sha256sum prints it.
	want := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := Digest(nil); got != want {
		t.Errorf("Digest(nil) = %s, want %s", got, want)
	}
}
