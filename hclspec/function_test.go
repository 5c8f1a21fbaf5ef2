package hclspec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
)

const fullSpec = `function "quote" {
  description = "Price of a basket, taxes included"
  target      = "@shop//functions/quote:quote"
  runtime     = "native"

  calls = ["tax", "fx"]

  io {
    storage "receipts" {
      access    = "read-write"
      path      = "/var/receipts"
      max_bytes = "64MiB"
      max_files = 500
    }
    network "rates" {
      protocol = "udp"
    }
  }

  resources {
    cpu         = 200
    memory      = "128MiB"
    concurrency = 16
  }

  scaling {
    min                = 2
    max                = 8
    target_concurrency = 12
  }

  call {
    timeout      = "1m30s"
    idempotent   = true
    max_request  = "2MiB"
    max_response = "4KiB"
  }

  ingress {
    http = true
    auth = "jwt"
  }
}
`

func TestParseFunctionsReadsEverything(t *testing.T) {
	want := &Function{
		Name: "quote", Description: "Price of a basket, taxes included", Target: "@shop//functions/quote:quote",
		Runtime: RuntimeNative, Calls: []string{"tax", "fx"},
		Storage: []Storage{{
			Tag: "receipts", Access: AccessReadWrite, Path: "/var/receipts", MaxBytes: 64 << 20, MaxFiles: 500,
		}},
		Network:   []Network{{Tag: "rates", Protocol: ProtocolUDP}},
		Resources: Resources{CPU: 200, Memory: 128 << 20, Concurrency: 16},
		Scaling:   Scaling{Min: 2, Max: 8, TargetConcurrency: 12},
		Call:      Call{Timeout: 90 * time.Second, Idempotent: true, MaxRequest: 2 << 20, MaxResponse: 4 << 10},
		Ingress:   &Ingress{HTTP: true, Auth: AuthJWT},
	}
	fns := parseValid(t, fullSpec)
	if len(fns) != 1 || fns[0].Range.Start.Line != 1 || len(fns[0].CallRanges) != 2 {
		t.Fatalf("got %d functions: %+v", len(fns), fns)
	}
	if got := withoutRanges(fns)[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseFunctionsFillsInDefaults(t *testing.T) {
	want := &Function{
		Name: "tax", Target: "@tax//:tax", Runtime: RuntimeWasm,
		Storage:   []Storage{{Tag: "rules", Access: AccessReadOnly, Path: "/rules", MaxFiles: 10_000}},
		Network:   []Network{{Tag: "rates", Protocol: ProtocolTCP}},
		Resources: Resources{CPU: defaultCPU, Memory: defaultMemory, Concurrency: defaultConcurrency},
		Scaling:   Scaling{Min: 1, Max: 1, TargetConcurrency: defaultConcurrency / 2},
		Call: Call{
			Timeout: defaultTimeout, MaxRequest: defaultMaxRequest, MaxResponse: defaultMaxResponse,
		},
		Ingress: &Ingress{HTTP: true, Auth: AuthSigned},
	}
	fns := parseValid(t, "function \"tax\" {\nio {\nstorage \"rules\" {}\nnetwork \"rates\" {}\n}\ningress {}\n}\n")
	if got := withoutRanges(fns)[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if bare := parseValid(t, "function \"a\" {}\nfunction \"b\" {}"); len(bare) != 2 || bare[0].Ingress != nil {
		t.Errorf("two bare functions: got %+v, want two without ingress", bare)
	}
}

// Each case holds a function's body (or, with file, a whole file); want holds "line:column summary / part of the
// detail" for each diagnostic, in order. Line 2 is the body's first.
var badFunctions = []struct {
	name, body, file string
	want             []string
}{
	{
		name: "misspelled attribute",
		body: `runtme = "wasm"`,
		want: []string{`2:1 Unknown attribute "runtme" / Did you mean runtime?`},
	},
	{
		name: "misspelled block",
		body: `resource {}`,
		want: []string{`2:1 Unknown block "resource" / Did you mean resources?`},
	},
	{
		name: "attribute of another block", body: `timeout = "2s"`,
		want: []string{`2:1 Unknown attribute "timeout" / belongs in a call block`},
	},
	{name: "block as attribute", body: `io = 1`, want: []string{`2:1 Unknown attribute "io" / is a block`}},
	{name: "attribute as block", body: `calls {}`, want: []string{`2:1 Unknown block "calls" / is an attribute`}},
	{
		name: "block of an environment", file: "bind \"quote\" {}\n",
		want: []string{`1:1 Unknown block "bind" / belongs in an environment block of an environment file`},
	},
	{name: "nothing at all", file: "# nothing\n", want: []string{`1:1 No function / at least one`}},
	{name: "no label", file: "function {}\n", want: []string{`1:1 One label expected / write function "example"`}},
	{name: "two labels", file: `function "a" "b" {}`, want: []string{`1:1 One label expected / name as a label`}},
	{name: "label not wanted", body: `call "x" {}`, want: []string{`2:6 Label not expected / write call {`}},
	{name: "second block", body: "call {}\ncall {}", want: []string{`3:1 Second call block / line 2`}},
	{
		name: "second attribute",
		body: "runtime = \"wasm\"\nruntime = \"wasm\"",
		want: []string{`3:1 Attribute redefined / Remove one`},
	},
	{name: "name", file: `function "My_Func" {}`, want: []string{`1:10 Invalid name / For example: my-func`}},
	{name: "name ends with a hyphen", file: `function "a-" {}`, want: []string{`1:10 Invalid name / For example: a`}},
	{
		name: "long name",
		file: fmt.Sprintf("function %q {}", strings.Repeat("a", 64)),
		want: []string{`1:10 Invalid name / at most 63`},
	},
	{
		name: "two functions of a name",
		file: "function \"a\" {}\nfunction \"a\" {}",
		want: []string{`2:1 Second function "a" / line 1`},
	},
	{
		name: "label of a relative target",
		body: `target = ":quote"`,
		want: []string{`2:10 Invalid label / Did you mean "//:quote"?`},
	},
	{name: "label with ..", body: `target = "//a/../b:c"`, want: []string{`2:10 Invalid label / full Bazel label`}},
	{name: "label without anything", body: `target = "//"`, want: []string{`2:10 Invalid label / full`}},
	{
		name: "runtime",
		body: `runtime = "wsm"`,
		want: []string{`2:11 Unknown runtime / Did you mean "wasm"? runtime is "wasm" or "native".`},
	},
	{name: "runtime in capitals", body: `runtime = "WASM"`, want: []string{`2:11 Unknown runtime / Did you mean "wasm"?`}},
	{name: "text without quotes", body: `runtime = wasm`, want: []string{`2:11 Text without quotes / Write "wasm"`}},
	{
		name: "variable",
		body: `runtime = env.RUNTIME`,
		want: []string{`2:11 Variable in a function spec / environment file`},
	},
	{name: "function call", body: `runtime = lower("wasm")`, want: []string{`2:11 Value is not literal / written out`}},
	{name: "for expression", body: `calls = [for x in ["a"] : x]`, want: []string{`2:9 calls is not a list / brackets`}},
	{name: "null", body: `runtime = null`, want: []string{`2:11 runtime is null / remove`}},
	{name: "number as text", body: `description = 1`, want: []string{`2:15 description is not text / quotes`}},
	{
		name: "control character",
		body: `description = "a\u0007"`,
		want: []string{`2:15 Invalid description / control characters`},
	},
	{name: "call of itself", body: `calls = ["quote"]`, want: []string{`2:10 Function calls itself / Remove it`}},
	{
		name: "calls", body: `calls = ["tax", "tax", "No", 1]`,
		want: []string{
			`2:17 "tax" is listed twice / Remove one`, `2:24 Invalid name / For example: no`,
			`2:30 An element of calls is not text / quotes`,
		},
	},
	{name: "calls not a list", body: `calls = "tax"`, want: []string{`2:9 calls is not a list / calls = ["…"]`}},
	{
		name: "too many calls", body: `calls = ["` + strings.Join(numbered(maxCalls+1), `", "`) + `"]`,
		want: []string{`2:1 Too many calls / at most 64`},
	},
	{
		name: "io",
		body: "io {\nstorage \"a\" {\naccess = \"write\"\npath = \"a/\"\nmax_bytes = \"1KiB\"\n}\nnetwork \"a\" {\n" +
			"protocol = \"tpc\"\n}\n}",
		want: []string{
			`4:10 Unknown access / "read-only" or "read-write"`, `5:8 Path is not absolute / slash`,
			`6:13 max_bytes is out of range / from "4KiB" to "16TiB"`, `8:1 Second tag "a" / line 3`,
		},
	},
	{
		name: "protocol", body: "io {\nnetwork \"n\" {\nprotocol = \"tpc\"\n}\n}",
		want: []string{`4:12 Unknown protocol / Did you mean "tcp"?`},
	},
	{
		name: "tag name", body: "io {\nstorage \"Receipts\" {}\n}",
		want: []string{`3:9 Invalid name / For example: receipts`},
	},
	{
		name: "overlapping paths",
		body: "io {\nstorage \"a\" {\npath = \"/data\"\n}\nstorage \"b\" {\npath = \"/data/b\"\n}\nstorage \"data\" {}\n}",
		want: []string{
			`7:8 Storage paths overlap / tag "a" on line 3`, `9:1 Storage paths overlap / tag "a"`,
			`9:1 Storage paths overlap / tag "b"`,
		},
	},
	{
		name: "paths",
		body: "io {\nstorage \"a\" {\npath = \"/x/../y\"\n}\nstorage \"b\" {\npath = \"/\"\n}\nstorage \"proc\" {}\n}",
		want: []string{
			`4:8 Path is not in its shortest form / Remove`, `7:8 Path of the system / below the root`,
			`9:9 Path of the system / proc`,
		},
	},
	{
		name: "max_bytes on read-only", body: "io {\nstorage \"a\" {\nmax_bytes = \"1MiB\"\n}\n}",
		want: []string{`4:1 max_bytes without effect / read-write`},
	},
	{
		name: "resources", body: "resources {\ncpu = \"200\"\nmemory = 64\nconcurrency = 1.5\n}",
		want: []string{
			`3:7 cpu is not a number / Remove the quotes`, `4:10 memory has no valid unit / Did you mean "64MiB"?`,
			`5:15 concurrency is out of range / from 1 to 1000`,
		},
	},
	{
		name: "negative numbers", body: "resources {\ncpu = -1\nmemory = \"-1MiB\"\n}",
		want: []string{`3:7 cpu is out of range / from 1`, `4:10 memory has no valid unit / Write a whole number`},
	},
	{name: "huge number", body: "resources {\ncpu = 1e400\n}", want: []string{`3:7 cpu is out of range / whole number`}},
	{
		name: "memory", body: "resources {\nmemory = \"1MiB\"\n}",
		want: []string{`3:10 memory is out of range / from "10MiB" to "256GiB"`},
	},
	{
		name: "scaling", body: "scaling {\nmin = 4\nmax = 2\ntarget_concurrency = 17\n}",
		want: []string{`4:7 max is less than min / min is 4`, `5:22 target_concurrency is out of reach / Only 16`},
	},
	{name: "scaling to zero", body: "scaling {\nmin = 0\n}", want: []string{`3:7 min is out of range / from 1`}},
	{
		name: "call",
		body: "call {\ntimeout = \"2 sec\"\nidempotent = \"yes\"\nmax_request = \"1M\"\nmax_response = \"1GiB\"\n}",
		want: []string{
			`3:11 timeout has no valid unit / Did you mean "2s"?`, `4:14 idempotent is neither true nor false / without quotes`,
			`5:15 max_request has no valid unit / Did you mean "1MiB"?`, `6:16 max_response is out of range / to "64MiB"`,
		},
	},
	{
		name: "timeout of 0",
		body: "call {\ntimeout = \"0s\"\n}",
		want: []string{`3:11 timeout is out of range / from "1ms" to "1h"`},
	},
	{
		name: "timeout is a number",
		body: "call {\ntimeout = 0\n}",
		want: []string{`3:11 timeout has no valid unit / quotes`},
	},
	{
		name: "ingress", body: "ingress {\nhttp = false\nauth = \"none\"\n}",
		want: []string{`3:8 Ingress without a way in / Remove the whole`, `4:8 Unknown auth / "signed" or "jwt"`},
	},
	{
		name: "several attributes on a line", body: `resources { cpu = 200  memory = "64MiB" }`,
		want: []string{`2:24 Invalid single-argument block definition / line of its own`},
	},
	{name: "no closing brace", file: "function \"a\" {\n", want: []string{`1:14 Unclosed configuration block / `}},
	{name: "byte order mark", file: "\ufefffunction \"a\" {}", want: []string{`1:1 Byte order mark / UTF-8 without`}},
	{
		name: "deep nesting",
		body: "calls = " + strings.Repeat("[", 1e4),
		want: []string{`2:40 Nested too deeply / At most 32`},
	},
	{
		name: "many operators",
		body: "runtime = " + strings.Repeat("!", 1e4),
		want: []string{`2:267 Too many operators / more than 256`},
	},
	{name: "large file", file: strings.Repeat("#\n", 1<<15) + "#", want: []string{`1:1 File too large / at most 64KiB`}},
}

func TestParseFunctionsDiagnoses(t *testing.T) {
	for _, tc := range badFunctions {
		t.Run(tc.name, func(t *testing.T) {
			src := tc.file
			if src == "" {
				src = "function \"quote\" {\n" + tc.body + "\n}\n"
			}
			_, diags := ParseFunctions("quote.hcl", []byte(src))
			checkDiagnostics(t, diags, tc.want)
		})
	}
}

func TestParseFunctionsKeepsWhatItCouldRead(t *testing.T) {
	fns, diags := ParseFunctions("a.hcl", []byte("function \"a\" {\n  runtime = \n}\nfunction \"b\" {}\n"))
	if !diags.HasErrors() || len(fns) == 0 {
		t.Fatalf("got %d functions and %v; want an error and what could be read", len(fns), diags)
	}
	if !fns[0].incomplete {
		t.Error("a function of a file that cannot be parsed counts as complete")
	}
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	return names
}

func parseValid(t *testing.T, src string) []*Function {
	t.Helper()
	fns, diags := ParseFunctions("test.hcl", []byte(src))
	if len(diags) > 0 {
		t.Fatalf("valid spec gives diagnostics: %v", diags)
	}
	return fns
}

// withoutRanges returns copies without the places in the source.
func withoutRanges(fns []*Function) []*Function {
	out := make([]*Function, len(fns))
	for i, f := range fns {
		c := *f
		c.Range, c.CallRanges = hcl.Range{}, nil
		c.Storage, c.Network = nil, nil
		for _, s := range f.Storage {
			s.Range = hcl.Range{}
			c.Storage = append(c.Storage, s)
		}
		for _, n := range f.Network {
			n.Range = hcl.Range{}
			c.Network = append(c.Network, n)
		}
		if f.Ingress != nil {
			in := *f.Ingress
			in.Range = hcl.Range{}
			c.Ingress = &in
		}
		out[i] = &c
	}
	return out
}

// checkDiagnostics compares diags with lines "line:column summary / part of the detail".
func checkDiagnostics(t *testing.T, diags hcl.Diagnostics, want []string) {
	t.Helper()
	for i, d := range diags {
		if d.Subject == nil || d.Detail == "" {
			t.Errorf("diagnostic %v has no place or no detail", d)
			continue
		}
		at := fmt.Sprintf("%d:%d ", d.Subject.Start.Line, d.Subject.Start.Column)
		if i >= len(want) {
			t.Errorf("unexpected: %s%s / %s", at, d.Summary, d.Detail)
			continue
		}
		head, detail, _ := strings.Cut(want[i], " / ")
		if at+d.Summary != head || !strings.Contains(d.Detail, detail) {
			t.Errorf("got  %s%s / %s\nwant %s", at, d.Summary, d.Detail, want[i])
		}
	}
	for _, missing := range want[min(len(diags), len(want)):] {
		t.Errorf("missing: %s", missing)
	}
}
