package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/pins"
	"countersign/pipeline/routes"
	"countersign/release"
)

// past makes a history of releases from lists of versions such as "a1 b1", the first release first. a1 is a version of function a.
func past(lists ...string) (h release.History) {
	for i, list := range lists {
		h = append(release.History{{Number: i + 1, Action: release.ActionDeploy, Functions: now(list)}}, h...)
	}
	return h
}

func now(list string) map[string]release.Function {
	functions := map[string]release.Function{}
	for _, v := range strings.Fields(list) {
		functions[v[:1]] = release.Function{ArtifactDigest: "sha256:" + v}
	}
	return functions
}

// TestAim tells where a rollback goes, also when what runs was never recorded, or is half-way.
func TestAim(t *testing.T) {
	h := past("a1 b1", "a2 b2", "a3 b3 c3")
	for _, tc := range []struct {
		name, running string
		o             RollbackOptions
		want          string // versions, and the number that is restored; or part of the refusal
	}{
		{"the release before", "a3 b3 c3", RollbackOptions{}, "a2 b2 restores 2 stay c"},
		{"interrupted half-way", "a2 b3 c3", RollbackOptions{}, "a2 b2 restores 2 stay c"},
		{"interrupted at the end", "a2 b2 c3", RollbackOptions{}, "a2 b2 restores 2 stay c"},
		{"a deploy failed half-way", "a4 b3 c3", RollbackOptions{}, "a3 b3 c3 restores 3"},
		{"a deploy of a new function failed", "a3 b3 c3 d4", RollbackOptions{}, "a3 b3 c3 restores 3 stay d"},
		{"a release", "a3 b3 c3", RollbackOptions{To: 1}, "a1 b1 restores 1 stay c"},
		{"a function", "a3 b3 c3", RollbackOptions{Functions: []string{"a"}}, "a2"},
		{"two functions", "a3 b3 c3", RollbackOptions{Functions: []string{"b", "a"}}, "a2 b2"},
		{"a function of a release", "a3 b3 c3", RollbackOptions{To: 1, Functions: []string{"a"}}, "a1"},
		{"a function, interrupted", "a2 b3 c3", RollbackOptions{Functions: []string{"a"}}, "a2"},
		{"a function whose deploy failed", "a4 b3 c3", RollbackOptions{Functions: []string{"a"}}, "a3"},
		{"a function that stopped", "b3 c3", RollbackOptions{Functions: []string{"a"}}, "a2"},
		{"a function that is new", "a3 b3 c3", RollbackOptions{Functions: []string{"c"}}, "did not run before release 3"},
		{"a function that was never recorded", "a3 b3 c3 d4", RollbackOptions{Functions: []string{"d"}}, "never recorded"},
		{"a function that the release lacks", "a3 b3 c3", RollbackOptions{To: 2, Functions: []string{"c"}}, "release 2 does not have it"},
		{"forward", "a3 b3 c3", RollbackOptions{Forward: true}, "is no rollback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &rollback{RollbackOptions: tc.o, head: h[0]}
			target, err := r.aim(h, now(tc.running))
			var got []string
			for _, name := range slices.Sorted(maps.Keys(target.wish)) {
				got = append(got, strings.TrimPrefix(target.wish[name].ArtifactDigest, "sha256:"))
			}
			if target.restores > 0 {
				got = append(got, fmt.Sprint("restores ", target.restores))
			}
			if target.stay != nil {
				got = append(got, "stay "+strings.Join(target.stay, " "))
			}
			var none *release.NoEarlierError
			switch {
			case err != nil && (!errors.As(err, &none) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %s", err, tc.want)
			case err == nil && strings.Join(got, " ") != tc.want:
				t.Errorf("%s, want %s", strings.Join(got, " "), tc.want)
			}
		})
	}
	if _, err := (&rollback{}).aim(nil, nil); err == nil || !strings.Contains(err.Error(), "no release is recorded yet") {
		t.Errorf("without any release: %v", err)
	}
}

// TestGoOn takes along what an interrupted run left in two releases, and nobody else's canary.
func TestGoOn(t *testing.T) {
	h := past("a1 b1", "a2 b2")
	running := now("a1 b2")
	digest := func(v string) release.Function { return release.Function{ArtifactDigest: "sha256:" + v} }
	for name, tc := range map[string]struct {
		canary routes.Canary
		want   int
	}{
		"it runs beside":      {routes.Canary{Stable: digest("a2").ID(), Release: digest("a1").ID()}, 1},
		"it takes over":       {routes.Canary{Stable: digest("a2").ID(), Release: digest("a1").ID(), Share: routes.Whole}, 1},
		"somebody's canary":   {routes.Canary{Stable: digest("a2").ID(), Release: digest("a1").ID(), Share: 1000}, 0},
		"its job is older":    {routes.Canary{Stable: digest("a1").ID(), Release: digest("a2").ID()}, 0},
		"of a deploy, unseen": {routes.Canary{Stable: digest("a2").ID(), Release: digest("a9").ID()}, 0},
	} {
		r := &rollback{head: h[0]}
		r.goOn(h, running, map[string]routes.Canary{"a": tc.canary})
		if len(r.moves) != tc.want || tc.want == 1 && r.moves[0].Reason() != "goes on where it was interrupted" {
			t.Errorf("%s: %+v", name, r.moves)
		}
	}
	r := &rollback{head: h[0], moves: []release.Move{{Function: "a"}}}
	if r.goOn(h, running, map[string]routes.Canary{"a": {Release: digest("a1").ID()}}); len(r.moves) != 1 {
		t.Errorf("it moves twice: %+v", r.moves)
	}
}

// TestPin says which pins follow, and why others can't.
func TestPin(t *testing.T) {
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	const text = `FUNCTIONS = {
    "quote": {
        "commit": "2222222222222222222222222222222222222222",
        "remote": "https://git.example/quote",
    },
    "shop": {
        "commit": "2222222222222222222222222222222222222222",
        "functions": {"cart": "//:cart", "stock": "//:stock"},
        "remote": "https://git.example/shop",
    },
}
`
	from := func(repository, commit string) release.Function {
		return release.Function{Repository: "https://git.example/" + repository, Commit: commit}
	}
	type set = map[string]release.Function
	for name, tc := range map[string]struct {
		moved, others set
		pinned        string // repository that is pinned to one
		remark        string
	}{
		"it follows":                     {set{"quote": from("quote", one)}, nil, "quote", ""},
		"as it is":                       {set{"quote": from("quote", two)}, nil, "", ""},
		"the other did not change":       {set{"cart": from("shop", one)}, set{"stock": from("shop", one)}, "shop", ""},
		"the other is from elsewhere":    {set{"cart": from("shop", one)}, set{"stock": from("shop", two)}, "shop", "stock, which did not move"},
		"both, from two commits":         {set{"cart": from("shop", one), "stock": from("shop", two)}, nil, "", "only one can be pinned"},
		"its repository is another now":  {set{"quote": from("quote-old", one)}, nil, "", "and repos.bzl pins"},
		"it is pinned nowhere":           {set{"tax": from("tax", one)}, nil, "", "nothing in"},
		"what is no commit is no pin":    {set{"quote": from("quote", "main")}, nil, "!", ""},
		"a repository that is in quotes": {set{"quote": from(`quote", "x": "`, one)}, nil, "", "and repos.bzl pins"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), pins.FileName)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := pins.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			list, err := pin(file, tc.moved, tc.others)
			if tc.pinned == "!" {
				if err == nil || file.Changed() {
					t.Errorf("%+v, %v", list, err)
				}
				return
			}
			want := text
			if tc.pinned != "" {
				before, after, _ := strings.Cut(text, `"`+tc.pinned+`"`)
				want = before + `"` + tc.pinned + `"` + strings.Replace(after, two, one, 1)
			}
			if err != nil || string(file.Bytes()) != want {
				t.Errorf("%v\n%s", err, file.Bytes())
			}
			remarks := ""
			for _, p := range list {
				remarks += p.Remark
			}
			if (remarks != "") != (tc.remark != "") || !strings.Contains(remarks, tc.remark) {
				t.Errorf("remark %q, want %q", remarks, tc.remark)
			}
		})
	}
}
