package release

import (
	"reflect"
	"testing"
)

func TestWaves(t *testing.T) {
	for _, tc := range []struct {
		name  string
		calls map[string][]string
		want  [][]string
	}{
		{"nothing", nil, nil},
		{"independent", map[string][]string{"b": nil, "a": nil}, [][]string{{"a", "b"}}},
		{
			"callees first",
			map[string][]string{"quote": {"tax", "fx"}, "tax": nil, "fx": nil, "thumbnail": nil},
			[][]string{{"fx", "tax", "thumbnail"}, {"quote"}},
		},
		{
			"the longest way counts",
			map[string][]string{"a": {"b", "d"}, "b": {"c"}, "c": {"d"}, "d": nil},
			[][]string{{"d"}, {"c"}, {"b"}, {"a"}},
		},
		{
			"a callee that is not deployed now",
			map[string][]string{"quote": {"tax"}},
			[][]string{{"quote"}},
		},
		{
			"a cycle runs together, its callers after it",
			map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": nil},
			[][]string{{"d"}, {"b", "c"}, {"a"}},
		},
		{"itself", map[string][]string{"a": {"a"}}, [][]string{{"a"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := waves(tc.calls); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("waves(%v) = %v, want %v", tc.calls, got, tc.want)
			}
		})
	}
}

func TestCallers(t *testing.T) {
	got := Callers(map[string][]string{"quote": {"tax", "fx"}, "cart": {"quote", "tax", "tax"}, "tax": nil})
	want := map[string][]string{"tax": {"cart", "quote"}, "fx": {"quote"}, "quote": {"cart"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Callers = %v, want %v", got, want)
	}
}
