package hclspec

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"

	"countersign"

	"github.com/hashicorp/hcl/v2"
)

func FuzzParseFunctions(f *testing.F) {
	f.Add([]byte(fullSpec))
	for _, tc := range badFunctions {
		if src := tc.file; len(src) < 1000 && len(tc.body) < 1000 {
			if src == "" {
				src = "function \"quote\" {\n" + tc.body + "\n}\n"
			}
			f.Add([]byte(src))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		fns, diags := ParseFunctions("fuzz.hcl", src)
		diags = append(diags, Check(fns, nil)...)
		diags = append(diags, Check(fns, &Environment{Name: "dev"})...)
		checkShowable(t, src, diags)
		for _, fn := range fns {
			if !countersign.ValidName(fn.Name) {
				t.Errorf("function with the name %q", fn.Name)
			}
		}
		formatted := checkFormat(t, src)
		again, diags := ParseFunctions("fuzz.hcl", src)
		if diags.HasErrors() {
			return
		}
		if len(fns) == 0 {
			t.Error("a valid file without a function")
		}
		if !reflect.DeepEqual(fns, again) {
			t.Errorf("parsed again, it differs:\n%+v\n%+v", fns, again)
		}
		after, diags := ParseFunctions("fuzz.hcl", formatted)
		if diags.HasErrors() || !reflect.DeepEqual(withoutRanges(fns), withoutRanges(after)) {
			t.Errorf("formatting changes the meaning: %v\n%s\nto\n%s", diags, src, formatted)
		}
	})
}

func FuzzParseEnvironment(f *testing.F) {
	f.Add([]byte(fullEnvironment))
	f.Add([]byte(environmentOf("")))
	for _, tc := range badEnvironments {
		if tc.file != "" {
			f.Add([]byte(tc.file))
		} else {
			f.Add([]byte(environmentOf(tc.body)))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		env, diags := ParseEnvironment("fuzz.hcl", src, testEnv)
		if env != nil {
			diags = append(diags, Check([]*Function{{Name: "quote", Calls: []string{"tax"}}}, env)...)
		}
		checkShowable(t, src, diags)
		_, unknown := ParseEnvironment("fuzz.hcl", src, nil)
		checkShowable(t, src, unknown)
		formatted := checkFormat(t, src)
		env, diags = ParseEnvironment("fuzz.hcl", src, testEnv)
		if diags.HasErrors() {
			return
		}
		if env == nil {
			t.Fatal("a valid file without an environment")
		}
		after, diags := ParseEnvironment("fuzz.hcl", formatted, testEnv)
		if diags.HasErrors() || !reflect.DeepEqual(plainEnvironment(env), plainEnvironment(after)) {
			t.Errorf("formatting changes the meaning: %v\n%s\nto\n%s", diags, src, formatted)
		}
	})
}

// checkShowable checks that each diagnostic can be shown to people: with text, and a place that lies in the source.
func checkShowable(t *testing.T, src []byte, diags hcl.Diagnostics) {
	t.Helper()
	for _, d := range diags {
		if d.Summary == "" || d.Detail == "" || d.Subject == nil {
			t.Fatalf("diagnostic %+v lacks text or place", d)
		}
		if s := d.Subject; s.Start.Byte > len(src) || s.End.Byte > len(src) || s.Start.Byte > s.End.Byte {
			t.Errorf("%q is at %v of %d bytes", d.Summary, s, len(src))
		}
		if d.Expression != nil || d.EvalContext != nil {
			t.Errorf("%q carries values of variables", d.Summary)
		}
		if strings.Contains(d.Error()+d.Detail, testEnv["VAULT_TOKEN"]) && !bytes.Contains(src, []byte("hvs")) {
			t.Errorf("%q shows a secret: %s", d.Summary, d.Detail)
		}
	}
	if err := WriteDiagnostics(io.Discard, map[string][]byte{"fuzz.hcl": src}, diags, 80, true); err != nil {
		t.Error(err)
	}
}

// checkFormat checks that formatting a formatted file changes nothing, and returns it.
func checkFormat(t *testing.T, src []byte) []byte {
	t.Helper()
	once, diags := Format(src)
	if diags.HasErrors() {
		return nil
	}
	twice, diags := Format(once)
	if diags.HasErrors() || !bytes.Equal(once, twice) {
		t.Errorf("formatting twice: %v\n%q\nthen\n%q", diags, once, twice)
	}
	return once
}
