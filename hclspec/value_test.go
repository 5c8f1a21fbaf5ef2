package hclspec

import (
	"fmt"
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

// TestFilesThatAreNotPassedOver has files that look like ours in an editor.
func TestFilesThatAreNotPassedOver(t *testing.T) {
	utf16 := func(text string, low, high int) string {
		out := make([]byte, 2*len(text))
		for i := range len(text) {
			out[2*i+low], out[2*i+high] = text[i], 0
		}
		return string(out)
	}
	const spec = "function \"a\" {\n}\n"
	for name, src := range map[string]string{
		"byte order mark":         "\ufeff" + spec,
		"two marks":               "\ufeff\ufeff" + spec,
		"mark, misspelled":        "\ufefffunctoin \"a\" {}\n",
		"UTF-16 little endian":    "\xff\xfe" + utf16(spec, 0, 1),
		"UTF-16 big endian":       "\xfe\xff" + utf16(spec, 1, 0),
		"no-break space":          "\u00a0" + spec,
		"zero width space":        "\u200b" + spec,
		"zero width inside":       "func\u200btion \"a\" {}\n",
		"word joiner":             "# x\n\u2060" + spec,
		"direction override":      "\u202e" + spec,
		"NUL":                     "\x00" + spec,
		"carriage returns":        "# x\rfunction \"a\" {\r}\r",
		"comment, then CR":        "# x\r" + spec[:len(spec)-1],
		"line separator":          "# x\u2028function \"a\" {}",
		"form feed":               "\f" + spec,
		"invalid UTF-8 before":    "\xff" + spec,
		"invalid UTF-8 in it":     "function \"a\xff\" {}",
		"ideographic space":       "\u3000" + spec,
		"mark before environment": "\ufeffenvironment \"dev\" {}",
	} {
		if KindOf([]byte(src)) == "" {
			t.Errorf("%s: passed over", name)
		}
		if functions, diags := ParseFunctions("a.hcl", []byte(src)); !diags.HasErrors() {
			t.Errorf("%s: read as %d functions", name, len(functions))
		}
	}
	for _, foreign := range []string{"\ufeffjob \"a\" {}", "# caf\u00e9\njob \"a\" {}", "x = \"\u202e\"", "\u200bpath \"function\" {}"} {
		if kind := KindOf([]byte(foreign)); kind != "" {
			t.Errorf("%q is taken for a file of kind %q", foreign, kind)
		}
	}
}

// TestInvisibleCharacters puts characters that people do not see everywhere in a spec, as they are and escaped.
func TestInvisibleCharacters(t *testing.T) {
	places := []string{"# %s\n%s", "function \"a\" {\n  description = \"x%s\"\n}\n", "function \"a\" {\n  calls = [\"b%s\"]\n}\n",
		"function \"a\" {\n  description = <<EOT\nx%s\nEOT\n}\n", "function \"a\" {%s\n}\n", "/* %s */\nfunction \"a\" {}\n",
		"function \"a%s\" {}\n", "function \"a\" {\n  target = \"@a//:a%s\"\n}\n", "function \"a\" {}\n// %s"}
	for _, c := range []rune{0x202e, 0x202a, 0x2066, 0x2069, 0x200e, 0x200f, 0x061c, 0x200b, 0x200c, 0x200d, 0x2060, 0x2064, 0xfeff, 0xad,
		0x180e, 0x034f, 0x115f, 0x1160, 0x3164, 0xffa0, 0xfe0f, 0xe0100, 0xe0041, 0xe000, 0xfdd0, 0xfffe, 0x2028, 0x2029, 0x85, 0x0b, 0x0c, 0x1b,
		0x7f, 0x9b, 0x00, 0x07, 0x08, 0x2800, 0x1d173} {
		for _, place := range places {
			src := strings.Replace(strings.Replace(place, "%s", string(c), 1), "%s", "function \"a\" {}\n", 1)
			_, diags := ParseFunctions("a.hcl", []byte(src))
			if !diags.HasErrors() {
				t.Errorf("U+%04X in %q was accepted", c, src)
			}
		}
		escaped := fmt.Sprintf("function \"a\" {\n  description = \"x\\U%08xy\"\n}\n", c)
		if _, diags := ParseFunctions("a.hcl", []byte(escaped)); !diags.HasErrors() {
			t.Errorf("U+%04X was accepted as an escape", c)
		}
		path := fmt.Sprintf("function \"a\" {\n  io {\n    storage \"s\" {\n      path = \"/a\\U%08xb\"\n    }\n  }\n}\n", c)
		if _, diags := ParseFunctions("a.hcl", []byte(path)); !diags.HasErrors() {
			t.Errorf("U+%04X was accepted as an escape in a path", c)
		}
		if _, diags := Format([]byte("# " + string(c) + "\nfunction \"a\" {}\n")); !diags.HasErrors() {
			t.Errorf("U+%04X was formatted", c)
		}
	}
	src := "# h\u00e9\u4e2d \U0001F600\nfunction \"a\" {\n\tdescription = \"\u05e9\u05dc\u05d5\u05dd \u00fc\"\n}\n"
	if _, diags := ParseFunctions("a.hcl", []byte(src)); diags.HasErrors() {
		t.Errorf("text of other languages: %v", diags)
	}
	_, diags := ParseFunctions("a.hcl", []byte("function \"a\" {\r\n  # \u00e9 \u202e\r\n}\r\n"))
	if at := diags[0].Subject; len(diags) != 1 || at.Start.Line != 2 || at.Start.Column != 7 || at.Start.Byte != 23 || at.End.Byte != 26 {
		t.Errorf("the place is %v", diags)
	}
}

func TestInvisibleCharactersInAnEnvironment(t *testing.T) {
	const env = "environment \"dev\" {\n  registry {\n    address = \"r.example\"\n  }\n  nomad {\n    address = \"http://n.example\"\n" +
		"    namespace = \"a%s\"\n    datacenters = [\"d%s\"]\n  }\n  consul {\n    address = \"http://c.example\"\n  }\n  vault {\n" +
		"    address = \"http://v.example\"\n  }\n}\n"
	for _, escape := range []string{"", `\u202e`, `\u200b`, `\U000e0041`, `\r`} {
		for _, src := range []string{fmt.Sprintf(env, escape, ""), fmt.Sprintf(env, "", escape)} {
			if _, diags := ParseEnvironment("dev.hcl", []byte(src), nil); diags.HasErrors() != (escape != "") {
				t.Errorf("%q: %v", escape, diags)
			}
		}
	}
}

// TestLineEnds: a file says the same whichever way its lines end.
func TestLineEnds(t *testing.T) {
	for _, src := range []string{
		"function \"a\" {\n  description = <<EOT\none\n  two\n\nEOT\n  runtime = \"native\"\n}\n",
		"function \"a\" {\n  description = <<-EOT\n    one\n      two\n  EOT\n  runtime = \"native\"\n}\n",
	} {
		want, diags := ParseFunctions("a.hcl", []byte(src))
		if diags.HasErrors() || len(want) != 1 {
			t.Fatal(diags)
		}
		dos := strings.ReplaceAll(src, "\n", "\r\n")
		formatted, diags := Format([]byte(dos))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, same := range []string{dos, string(formatted), strings.Replace(src, "\n", "\r\n", 3)} {
			got, diags := ParseFunctions("a.hcl", []byte(same))
			if diags.HasErrors() || len(got) != 1 || got[0].Description != want[0].Description || got[0].Runtime != want[0].Runtime {
				t.Errorf("%q: %v, %+v", same, diags, got)
			}
		}
	}
	for _, src := range []string{"function \"a\" {\r}\n", "function \"a\" {}\r", "function \"a\" {\n  description = \"x\\ry\"\n}\n",
		"function \"a\" {\n  description = <<EOT\nx\ry\nEOT\n}\n", "function \"a\" {\r\r\n}\n"} {
		if _, diags := ParseFunctions("a.hcl", []byte(src)); !diags.HasErrors() {
			t.Errorf("%q was accepted", src)
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
