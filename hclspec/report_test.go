package hclspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestWriteDiagnostics(t *testing.T) {
	src := "function \"quote\" {\n  resources {\n    memry = \"64MiB\" # é\n  }\n}\n"
	_, diags := ParseFunctions("quote.hcl", []byte(src))
	var out bytes.Buffer
	if err := WriteDiagnostics(&out, map[string][]byte{"quote.hcl": []byte(src)}, diags, 60, false); err != nil {
		t.Fatal(err)
	}
	want := `Error: Unknown attribute "memry"
  on quote.hcl:3:5, in function "quote", resources:
    3:     memry = "64MiB" # é
           ^^^^^

Did you mean memory? A resources block holds the attributes
cpu, memory, concurrency.

`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

func TestWriteDiagnosticsWithoutSource(t *testing.T) {
	_, diags := ParseFunctions("a.hcl", nil)
	var out bytes.Buffer
	if err := WriteDiagnostics(&out, nil, diags, 0, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1;31mError\x1b[0m: No function\n  on a.hcl:1:1\n\nA function spec holds"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got:\n%q\nwant:\n%q", out.String(), want)
	}
	if err := WriteDiagnostics(brokenWriter{}, nil, diags, 0, true); err == nil {
		t.Error("no error of the writer")
	}
}

// What stands in a spec must not move the cursor of the one who reads about it.
func TestWriteDiagnosticsHidesEscapes(t *testing.T) {
	src := []byte("function \"a\" {\n\truntime = \"\x1b[2J\u202e\u0085\" # \x1b]0;title\x07\n  \"\x1b[1m\" = 1\n}\n" +
		"function \"\x1b[2J\" {}\n")
	_, diags := ParseFunctions("a\x1b.hcl", src)
	var out bytes.Buffer
	if err := WriteDiagnostics(&out, map[string][]byte{"a\x1b.hcl": src}, diags, 0, false); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u202e\u0085") || len(diags) == 0 {
		t.Errorf("escape sequences get through: %q", out.String())
	}
}

func TestSnippet(t *testing.T) {
	long := strings.Repeat("x", 1000)
	src := []byte("function \"a\" {\n\t\truntime  = \"wsm\" \n  " + long + " = 1\n}\n")
	_, diags := ParseFunctions("a.hcl", src)
	if len(diags) != 2 {
		t.Fatal(diags)
	}
	if got, want := Snippet(src, *diags[0].Subject), `runtime  = "wsm"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Snippet(src, *diags[1].Subject), long[:snippetLength]+"… = 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, at := range []int{-5, 0, len(src) + 10} { // of another version of the file
		r := *diags[0].Subject
		r.Start.Byte, r.End.Byte = at, at-1
		Snippet(src, r)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }
