package release

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	quote := Function{InterfaceDigest: "sha256:q1", Calls: map[string]string{"tax": "sha256:t1"}}
	tax1, tax2 := Function{InterfaceDigest: "sha256:t1"}, Function{InterfaceDigest: "sha256:t2"}
	quoteRuns := Function{InterfaceDigest: "sha256:q1", Calls: map[string]string{"tax": "sha256:t1"}}
	for _, tc := range []struct {
		name    string
		deploy  map[string]Function
		running map[string]Function
		want    []Misfit
	}{
		{"both fit", map[string]Function{"quote": quote, "tax": tax1}, nil, nil},
		{
			"callee changed", map[string]Function{"quote": quote, "tax": tax2}, nil,
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2"}},
		},
		{
			"callee runs already and fits", map[string]Function{"quote": quote},
			map[string]Function{"tax": {InterfaceDigest: "sha256:t1"}}, nil,
		},
		{
			"callee runs already and does not fit", map[string]Function{"quote": quote},
			map[string]Function{"tax": {InterfaceDigest: "sha256:t2"}},
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2", CalleeRuns: true}},
		},
		{
			"callee is nowhere", map[string]Function{"quote": quote}, nil,
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1"}},
		},
		{
			"a running caller would break", map[string]Function{"tax": tax2},
			map[string]Function{"quote": quoteRuns, "tax": {InterfaceDigest: "sha256:t1"}},
			[]Misfit{{Caller: "quote", Callee: "tax", BuiltWith: "sha256:t1", Meets: "sha256:t2", CallerRuns: true}},
		},
		{
			"a running caller that is replaced counts as replaced",
			map[string]Function{"tax": tax2, "quote": {InterfaceDigest: "q2", Calls: map[string]string{"tax": "sha256:t2"}}},
			map[string]Function{"quote": quoteRuns, "tax": {InterfaceDigest: "sha256:t1"}}, nil,
		},
		{
			"what was broken before is no business of this deploy", map[string]Function{"fx": {InterfaceDigest: "sha256:f"}},
			map[string]Function{"quote": quoteRuns, "tax": {InterfaceDigest: "sha256:t2"}}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Fit(tc.deploy, tc.running)
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
