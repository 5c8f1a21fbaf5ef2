package release

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// story makes a history from lines such as "deploy a1 b1" or "rollback:1 a1", the first release first. a1 is a version of
// function a.
func story(lines ...string) History {
	var h History
	for i, line := range lines {
		action, functions, _ := strings.Cut(line, " ")
		action, restores, _ := strings.Cut(action, ":")
		r := &Record{Number: i + 1, Action: Action(action), Functions: map[string]Function{}}
		r.Restores, _ = strconv.Atoi(restores)
		if r.Action == ActionRollback {
			r.TakesBack = i
		}
		for _, f := range strings.Fields(functions) {
			r.Functions[f[:1]] = Function{ArtifactDigest: f}
		}
		h = append(History{r}, h...)
	}
	return h
}

func TestBackAndForward(t *testing.T) {
	for _, tc := range []struct {
		name          string
		h             History
		back, forward int    // 0: refused
		want          string // part of either refusal
	}{
		{"nothing", nil, 0, 0, "no release is recorded yet"},
		{"the first", story("deploy a1"), 0, 0, "release"},
		{"the second", story("deploy a1", "deploy a2"), 1, 0, "release 2 is no rollback"},
		{"rolled back", story("deploy a1", "deploy a2", "deploy a3", "rollback:2 a2"), 1, 3, ""},
		{"rolled back twice", story("deploy a1", "deploy a2", "deploy a3", "rollback:2 a2", "rollback:1 a1"), 0, 4, "no release before 1"},
		{"forward again", story("deploy a1", "deploy a2", "deploy a3", "rollback:2 a2", "rollback:1 a1", "rollforward:4 a2"), 1, 3, ""},
		{"and again", story("deploy a1", "deploy a2", "deploy a3", "rollback:2 a2", "rollback:1 a1", "rollforward:4 a2", "rollforward:3 a3"), 2, 0, "release 3 is no rollback"},
		{"one function", story("deploy a1 b1", "deploy a2 b2", "rollback:0 a1 b2"), 0, 2, "took back single functions"},
		{"one function, and forward", story("deploy a1 b1", "deploy a2 b2", "rollback:0 a1 b2", "rollforward:2 a2 b2"), 1, 0, "release 2 is no rollback"},
		{"deployed since", story("deploy a1", "deploy a2", "rollback:1 a1", "deploy a3"), 3, 0, "release 4 is no rollback"},
		{"deployed since, and back", story("deploy a1", "deploy a2", "rollback:1 a1", "deploy a3", "rollback:3 a1"), 0, 4, "no release before 1"},
		{"a history that ends", story("deploy a1", "deploy a2", "rollback:1 a1")[:1], 0, 0, "only releases from 3 on"},
		{"in part, with canaries", story("deploy a1", "deploy a2 b1", "deploy a3", "rollback:2 a3 b1"), 0, 3, "took back single functions"},
		{"forward in part", story("deploy a1 b1", "deploy a2", "rollback:1 a1 b1", "rollforward:2 a1 b1"), 0, 0, "release 4"},
		{"a rollback to the future", story("deploy a1", "rollback:2 a1"), 0, 1, "which release 2 restores"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for what, f := range map[string]func() (*Record, error){"back": tc.h.Back, "forward": tc.h.Forward} {
				want := map[string]int{"back": tc.back, "forward": tc.forward}[what]
				r, err := f()
				var none *NoEarlierError
				switch {
				case want > 0 && (err != nil || r.Number != want):
					t.Errorf("%s: %+v, %v; want %d", what, r, err, want)
				case want == 0 && (!errors.As(err, &none) || !strings.Contains(err.Error(), tc.want)):
					t.Errorf("%s: %+v, %v; want a refusal with %q", what, r, err, tc.want)
				}
			}
		})
	}
}

func TestBefore(t *testing.T) {
	for _, tc := range []struct {
		name, function, want string // want: the version and its release, or part of the refusal
		h                    History
	}{
		{"changed", "a", "a1 1", story("deploy a1 b1", "deploy a2 b1")},
		{"changed a while ago", "a", "a1 1", story("deploy a1 b1", "deploy a2 b1", "deploy a2 b2", "deploy a2 b3")},
		{"rolled back", "a", "a1 2", story("deploy a1", "deploy a1 b1", "deploy a2", "deploy a3", "rollback:0 a2")},
		{"rolled back as a whole", "a", "a1 1", story("deploy a1", "deploy a2 b1", "deploy a3 b2", "rollback:2 a2 b1")},
		{"rolled forward", "a", "a2 2", story("deploy a1", "deploy a2", "deploy a3", "rollback:2 a2", "rollforward:3 a3")},
		{"deployed again by a revert", "a", "a2 2", story("deploy a1", "deploy a2", "deploy a1")},
		{"removed", "a", "a2 2", story("deploy a1", "deploy a2 b1", "remove b1")},
		{"new", "b", "did not run before release 2", story("deploy a1", "deploy a1 b1")},
		{"never changed", "a", "no other version of it ran before release 1", story("deploy a1", "deploy a1 b1")},
		{"unknown", "c", "it runs in none", story("deploy a1", "deploy a1 b1")},
		{"no release", "a", "no release is recorded", nil},
		{"a history that ends", "a", "only releases from 2 on", story("deploy a1", "deploy a2", "deploy a2 b1")[:2]},
		{"a rollback from beyond the end", "a", "only releases from 2 on", story("deploy a1", "deploy a2", "rollback:1 a1")[:2]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := tc.h.Before(tc.function)
			if err == nil && v.ArtifactDigest+" "+strconv.Itoa(v.Release) == tc.want {
				return
			}
			var none *NoEarlierError
			if !errors.As(err, &none) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v; want %q", v, err, tc.want)
			}
		})
	}
}
