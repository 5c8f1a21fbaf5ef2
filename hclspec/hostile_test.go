package hclspec

import (
	"io"
	"strings"
	"testing"
)

// Files that are small enough to be read, but made to exhaust the reader. The test ends at once or not at all.
func TestHostileFiles(t *testing.T) {
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (int(MaxSourceLength)-len(before)-len(after))/len(part)) + after
	}
	for name, src := range map[string]string{
		"indexes":            fill("function \"a\" {\nruntime = a", "[0]", "\n}"),
		"attributes":         fill("function \"a\" {\nruntime = a", ".b", "\n}"),
		"splats":             fill("function \"a\" {\nruntime = a", "[*]", "\n}"),
		"negations":          fill("function \"a\" {\nruntime = ", "!", "1\n}"),
		"sum":                fill("function \"a\" {\nruntime = 1", "+1", "\n}"),
		"conditions":         fill("function \"a\" {\nruntime = ", "1?1:", "1\n}"),
		"parentheses":        fill("function \"a\" {\nruntime = ", "(", "1\n}"),
		"templates":          fill("function \"a\" {\nruntime = ", "\"${", "1\n}"),
		"template if":        fill("function \"a\" {\nruntime = \"", "%{if true}", "\"\n}"),
		"heredocs":           fill("function \"a\" {\nruntime = ", "<<A\n${", "1\n}"),
		"blocks":             fill("", "function \"a\" {\n", ""),
		"long list":          fill("function \"a\" {\ncalls = [", `"b",`, "\"c\"]\n}"),
		"unknown attributes": fill("function \"a\" {\n", "x=1\n", "}"),
		"misspelled blocks":  fill("", "functoin{}\n", ""),
		"same function":      fill("", "function \"a\" {}\n", ""),
		"long number":        fill("function \"a\" {\nresources {\ncpu = ", "9", "\n}\n}"),
		"long exponent":      "function \"a\" {\nresources {\ncpu = 1e999999999\n}\n}",
		"long name":          fill("function \"", "a", "\" {}"),
		"long size":          fill("function \"a\" {\nresources {\nmemory = \"", "9", "MiB\"\n}\n}"),
		"quotes":             fill("", `"`, ""),
		"zero bytes":         fill("", "\x00", ""),
		"not UTF-8":          fill("", "\xff", ""),
	} {
		t.Run(name, func(t *testing.T) {
			fns, diags := ParseFunctions("a.hcl", []byte(src))
			if !diags.HasErrors() {
				t.Error("no error")
			}
			if len(diags) > maxDiagnostics+1 {
				t.Errorf("%d diagnostics", len(diags))
			}
			if err := WriteDiagnostics(io.Discard, map[string][]byte{"a.hcl": []byte(src)}, diags, 80, false); err != nil {
				t.Error(err)
			}
			Check(fns, nil)
		})
	}
}

// Many functions that all reach each other are no reason to take long.
func TestCheckLargeApplication(t *testing.T) {
	var fns []*Function
	names := numbered(400)
	for i, name := range names {
		f := &Function{Name: name}
		for j := range maxCalls {
			f.Calls = append(f.Calls, names[(i+j+1)%len(names)])
		}
		fns = append(fns, f)
	}
	if diags := Check(fns, nil); len(diags) != 1 {
		t.Errorf("%d diagnostics; want one circle", len(diags))
	}
}
