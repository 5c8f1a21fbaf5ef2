package hclspec

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"countersign"

	"github.com/hashicorp/hcl/v2"
)

func readReference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The examples of the reference are valid, formatted, and fit together as one application.
func TestReferenceExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(readReference(t), -1)
	variables := map[string]string{
		"NOMAD_ADDR": "http://127.0.0.1:4646", "CONSUL_HTTP_ADDR": "127.0.0.1:8500", "VAULT_ADDR": "http://127.0.0.1:8200",
		"USER": "me",
	}
	var fns []*Function
	var env *Environment
	for i, b := range blocks {
		src, name := []byte(b[1]), fmt.Sprintf("example %d", i+1)
		var diags hcl.Diagnostics
		if KindOf(src) == KindEnvironment {
			env, diags = ParseEnvironment(name, src, variables)
		} else {
			var some []*Function
			some, diags = ParseFunctions(name, src)
			fns = append(fns, some...)
		}
		if len(diags) > 0 {
			t.Errorf("%s: %v", name, diags)
		}
		if formatted, _ := Format(src); string(formatted) != b[1] {
			t.Errorf("%s is not formatted; it should be:\n%s", name, formatted)
		}
	}
	if len(fns) != 3 || env == nil {
		t.Fatalf("%d functions and environment %v; want 3 and one", len(fns), env)
	}
	if diags := Check(fns, env); len(diags) > 0 {
		t.Error(diags)
	}
}

// section of the reference that describes a kind of block.
var referenceHeadings = map[string]string{
	"function": "### `function \"<name>\"`\n", "environment": "### `environment \"<name>\"`\n",
	"bind":       "### `bind \"<function>\"`\n",
	"io.storage": "### `io`", "io.network": "### `io`", "bind.storage": "### `bind", "bind.network": "### `bind",
}

// The reference has every attribute and block, and no other.
func TestReferenceIsComplete(t *testing.T) {
	text := readReference(t)
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
	for _, kind := range kinds {
		if strings.HasSuffix(kind, " file") {
			continue
		}
		heading := referenceHeadings[kind]
		if heading == "" {
			heading = "### `" + kind + "`\n"
		}
		_, body, found := strings.Cut(text, heading)
		if strings.Contains(kind, ".") {
			_, body, found = strings.Cut(body, "#### `"+blockType(kind)+" \"<tag>\"`\n")
		}
		if !found {
			t.Errorf("no section about %s", shapes[kind].title)
			continue
		}
		body, _, _ = strings.Cut(body, "\n#")
		var documented []string
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			documented = append(documented, m[1])
		}
		if got, want := strings.Join(documented, " "), strings.Join(shapes[kind].attrs, " "); got != want {
			t.Errorf("%s: documented are %s; the code knows %s", kind, got, want)
		}
	}
	if len(kinds) != len(shapes) {
		t.Errorf("%d kinds, but %d shapes", len(kinds), len(shapes))
	}
}

// Defaults and limits in the reference are those of the code.
func TestReferenceValues(t *testing.T) {
	text := readReference(t)
	between := func(low, high int64) string { return fmt.Sprintf("`%q` to `%q`", formatSize(low), formatSize(high)) }
	for attribute, want := range map[string][]string{
		"description": {fmt.Sprintf("at most %d characters", maxDescriptionLength)},
		"runtime":     {defaultRuntime},
		"calls":       {fmt.Sprintf("at most %d;", maxCalls)},
		"access":      {"| `\"" + defaultAccess + "\"` |"},
		"max_bytes":   {between(minStorage, maxStorage)},
		"protocol":    {"| `\"" + defaultProtocol + "\"` |"},
		"cpu":         {fmt.Sprintf("| `%d` |", defaultCPU), fmt.Sprintf("%d to %d", minCPU, maxCPU)},
		"memory":      {"`\"" + formatSize(defaultMemory) + "\"`", between(minMemory, maxMemory)},
		"concurrency": {fmt.Sprintf("| `%d` |", defaultConcurrency), fmt.Sprintf("1 to %d", maxConcurrency)},
		"min":         {fmt.Sprintf("| `%d` |", defaultScalingMin), fmt.Sprintf("1 to %d", maxScaling)},
		"max":         {fmt.Sprintf("`min` to %d", maxScaling)},
		"timeout": {
			formatDuration(defaultTimeout),
			fmt.Sprintf("`%q` to `%q`", formatDuration(minTimeout), formatDuration(MaxTimeout)),
		},
		"max_request":   {"| `\"" + formatSize(defaultMaxRequest) + "\"` |", between(minMessage, MaxMessage)},
		"max_response":  {"| `\"" + formatSize(defaultMaxResponse) + "\"` |", between(minMessage, MaxMessage)},
		"auth":          {"| `\"" + defaultAuth + "\"` |"},
		"trust_domain":  {"| `\"" + defaultTrustDomain + "\"` |"},
		"transit_mount": {"| `\"" + defaultTransitMount + "\"` |"},
		"pki_mount":     {"| `\"" + defaultPKIMount + "\"` |"},
		"deltas":        {fmt.Sprintf("| `%d` |", defaultDeltas), fmt.Sprintf("0 to %d", maxDeltas)},
	} {
		_, row, found := strings.Cut(text, "\n| `"+attribute+"` |")
		row, _, _ = strings.Cut(row, "\n")
		for _, w := range want {
			if !found || !strings.Contains(" |"+row, w) {
				t.Errorf("the row of %s is%s; it should hold %s", attribute, row, w)
			}
		}
	}
	for _, want := range []string{
		fmt.Sprintf("at most %d lower-case", countersign.MaxNameLength), fmt.Sprintf("function, at most %d.", maxTags),
		fmt.Sprintf("at most %s, at most %d open braces, brackets and quotes, and at most %d operators",
			formatSize(MaxSourceLength), maxNesting, maxOperators),
		fmt.Sprintf("at most %d diagnostics", maxDiagnostics),
	} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the reference should say %q", want)
		}
	}
}
