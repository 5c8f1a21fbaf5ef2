package pipeline

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseInterface(t *testing.T) {
	visible := `{"function":"quote","reply":{"kind":"integer"},"request":{"kind":"string"}}`
	document := `{"calls":{"tax":"sha256:aa","unlisted":"sha256:bb"},` + strings.TrimPrefix(visible, "{")
	got, err := parseInterface("quote", []byte(document), []string{"tax", "fx"})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(visible))); got.Digest != want {
		t.Errorf("digest = %s, want that of %s: %s", got.Digest, visible, want)
	}
	if want := map[string]string{"tax": "sha256:aa"}; !reflect.DeepEqual(got.Calls, want) {
		t.Errorf("calls = %v, want %v: only what the spec permits", got.Calls, want)
	}
	spaced := strings.ReplaceAll(document, ":", " :\n")
	spaced = strings.ReplaceAll(spaced, "sha256 :\n", "sha256:")
	if other, err := parseInterface("quote", []byte(spaced), nil); err != nil || other.Digest != got.Digest {
		t.Errorf("with other white space: digest %v, error %v; want the same digest", other, err)
	}
}

func TestParseInterfaceRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"not JSON":        {"nope", "interface document"},
		"no request":      {`{"function":"quote","reply":{}}`, "missing"},
		"no name":         {`{"request":{},"reply":{}}`, `calls itself ""`},
		"another's name":  {`{"function":"tax","request":{},"reply":{}}`, `calls itself "tax"`},
		"calls not a map": {`{"function":"quote","request":{},"reply":{},"calls":[1]}`, "interface document"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseInterface("quote", []byte(tc.document), nil); err == nil ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestCheckInterfaces(t *testing.T) {
	quote := &Interface{Digest: "sha256:q1", Calls: map[string]string{"tax": "sha256:t1"}}
	tax1, tax2 := &Interface{Digest: "sha256:t1"}, &Interface{Digest: "sha256:t2"}
	quoteRuns := Running{Interface: "sha256:q1", Calls: map[string]string{"tax": "sha256:t1"}}
	for _, tc := range []struct {
		name    string
		deploy  map[string]*Interface
		running map[string]Running
		want    []Misfit
	}{
		{"both fit", map[string]*Interface{"quote": quote, "tax": tax1}, nil, nil},
		{
			"callee changed", map[string]*Interface{"quote": quote, "tax": tax2}, nil,
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2"}},
		},
		{
			"callee runs already and fits", map[string]*Interface{"quote": quote},
			map[string]Running{"tax": {Interface: "sha256:t1"}}, nil,
		},
		{
			"callee runs already and does not fit", map[string]*Interface{"quote": quote},
			map[string]Running{"tax": {Interface: "sha256:t2"}},
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2", CalleeRuns: true}},
		},
		{
			"callee is nowhere", map[string]*Interface{"quote": quote}, nil,
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1"}},
		},
		{
			"a running caller would break", map[string]*Interface{"tax": tax2},
			map[string]Running{"quote": quoteRuns, "tax": {Interface: "sha256:t1"}},
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2", CallerRuns: true}},
		},
		{
			"a running caller that is replaced counts as replaced",
			map[string]*Interface{"tax": tax2, "quote": {Digest: "q2", Calls: map[string]string{"tax": "sha256:t2"}}},
			map[string]Running{"quote": quoteRuns, "tax": {Interface: "sha256:t1"}}, nil,
		},
		{
			"what was broken before is no business of this deploy", map[string]*Interface{"fx": {Digest: "sha256:f"}},
			map[string]Running{"quote": quoteRuns, "tax": {Interface: "sha256:t2"}}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := checkInterfaces(tc.deploy, tc.running)
			var misfit *MisfitError
			if !errors.As(err, &misfit) {
				misfit = &MisfitError{}
			}
			if !reflect.DeepEqual(misfit.Misfits, tc.want) {
				t.Errorf("got %+v (%v), want %+v", misfit.Misfits, err, tc.want)
			}
			for _, m := range tc.want {
				for _, name := range []string{m.Caller, m.Callee} {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("message %q does not name %q", err, name)
					}
				}
			}
		})
	}
}

func TestCallsInMeta(t *testing.T) {
	calls := map[string]string{"tax": "sha256:aa", "fx": "sha256:bb"}
	text := formatCalls(calls)
	if want := "fx=sha256:bb tax=sha256:aa"; text != want {
		t.Errorf("formatCalls = %q, want %q", text, want)
	}
	if got, err := parseCalls(text); err != nil || !reflect.DeepEqual(got, calls) {
		t.Errorf("parseCalls(%q) = %v, %v; want %v", text, got, err, calls)
	}
	for _, bad := range []string{"tax", "=sha256:aa", "tax="} {
		if _, err := parseCalls(bad); err == nil {
			t.Errorf("parseCalls(%q) succeeded", bad)
		}
	}
}
