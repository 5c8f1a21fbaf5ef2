package release

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"countersign/interfaces"
)

// unreadable makes interfaces fit only if they are the same.
func unreadable(string, Function) (*interfaces.Document, error) { return nil, errNotThere }

// at returns a version of a function: its interface is named after it, and calls tell callee -> interface.
func at(version, iface string, calls ...string) Function {
	f := Function{ArtifactDigest: version, InterfaceDigest: iface, Calls: map[string]string{}}
	for _, c := range calls {
		f.Calls[c[:1]] = c
	}
	return f
}

func ran(functions ...Function) *Record {
	r := &Record{Functions: map[string]Function{}}
	for _, f := range functions {
		r.Functions[f.ArtifactDigest[:1]] = f
	}
	return r
}

// history numbers records, the first release first.
func history(records ...*Record) History {
	var h History
	for i, r := range records {
		r.Number, r.Action = i+1, ActionDeploy
		h = append(History{r}, h...)
	}
	return h
}

// TestRestore moves a chain of q, which calls t, and c, which calls q.
func TestRestore(t *testing.T) {
	q1, t1, c1 := at("q1", "qi1", "ti1"), at("t1", "ti1"), at("c1", "ci1", "qi1")
	q2, t2, c2 := at("q2", "qi1", "ti2"), at("t2", "ti2"), at("c2", "ci1", "qi1")
	t3, c3, q4, c4 := at("t3", "ti2"), at("c3", "ci1", "qi1"), at("q4", "qi2", "ti2"), at("c4", "ci1", "qi2")
	h := history(ran(q1, t1, c1), ran(q2, t2, c2), ran(q2, t3, c3), ran(q4, t3, c4))
	for _, tc := range []struct {
		name    string
		wish    []string // name, release
		running []Function
		want    string
	}{
		{"alone", []string{"t 2"}, []Function{q4, t3, c4}, "t t2 2"},
		{"nothing", []string{"t 3"}, []Function{q4, t3, c4}, ""},
		{"a callee pulls its caller, and that its own", []string{"t 1"}, []Function{q4, t3, c4}, "c c1 1; q q1 1; t t1 1"},
		{"a caller pulls its callee and its caller", []string{"q 1"}, []Function{q4, t3, c4}, "c c1 1; q q1 1; t t1 1"},
		{"the caller of a caller stays if it fits", []string{"t 1"}, []Function{q2, t3, c2}, "q q1 1; t t1 1"},
		{"what ran together goes before what is later", []string{"q 2"}, []Function{q4, t3, c4}, "c c2 2; q q2 2"},
		{"a callee that was removed comes back", []string{"q 1"}, []Function{q2, c2}, "q q1 1; t t1 1"},
		{"a whole release", []string{"q 1", "t 1", "c 1"}, []Function{q4, t3, c4}, "c c1 1; q q1 1; t t1 1"},
		{"what never ran together", []string{"q 4", "t 1"}, []Function{q2, t2, c2}, "!q calls"},
		{"somebody new can't go back", []string{"t 1"}, []Function{q1, t3, at("n1", "ni1", "ti2")}, "!n was built with"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wish, running := map[string]Version{}, ran(tc.running...).Functions
			for _, w := range tc.wish {
				r := h.Get(int(w[2] - '0'))
				wish[w[:1]] = Version{r.Functions[w[:1]], r.Number}
			}
			moves, err := Restore(wish, running, h, unreadable)
			if text, refused := strings.CutPrefix(tc.want, "!"); refused {
				var none *NoWayBackError
				if !errors.As(err, &none) || !none.Tried || len(none.Misfits) == 0 {
					t.Errorf("moves %+v, error %v; want a refusal about %q", moves, err, text)
				}
				return
			}
			var got []string
			for _, m := range moves {
				got = append(got, fmt.Sprintf("%s %s %d", m.Function, m.To.ArtifactDigest, m.To.Release))
				if _, asked := wish[m.Function]; asked != (m.Because == nil) || !asked && !strings.Contains(m.Reason(), "was built with") && !strings.Contains(m.Reason(), "calls") {
					t.Errorf("%s moves because %s", m.Function, m.Reason())
				}
			}
			if s := strings.Join(got, "; "); err != nil || s != tc.want {
				t.Errorf("moves %s, error %v; want %s", s, err, tc.want)
			}
		})
	}
}

// TestRestoreIsSmallest compares Restore with all sets of versions, for small worlds.
func TestRestoreIsSmallest(t *testing.T) {
	found, refused := 0, 0
	for seed := range uint64(150) {
		h, running := world(rand.New(rand.NewPCG(seed, 1)))
		for name := range running {
			for _, v := range h.Versions(name, 0) {
				moves, err := Restore(map[string]Version{name: v}, running, h, unreadable)
				least := smallest(h, running, name, v)
				if (err != nil) != (least < 0) || err == nil && len(moves) != least {
					t.Fatalf("seed %d, %s to %s: moves %+v, error %v; the smallest set has %d", seed, name, v.ArtifactDigest, moves, err, least)
				}
				after := maps.Clone(running)
				for _, m := range moves {
					after[m.Function] = m.To.Function
				}
				if err == nil && Fit(after, nil, nil, unreadable) != nil && Fit(running, nil, nil, unreadable) == nil {
					t.Fatalf("seed %d, %s to %s: moves %+v do not fit", seed, name, v.ArtifactDigest, moves)
				}
				if err == nil {
					found++
				} else {
					refused++
				}
			}
		}
	}
	if found < 100 || refused < 10 {
		t.Errorf("%d found, %d refused: the worlds say nothing", found, refused)
	}
}

// world makes releases of a few functions that call each other and fit, the last of which runs, now and then with a function that
// is new.
func world(r *rand.Rand) (History, map[string]Function) {
	names := []string{"a", "b", "c", "d", "e"}[:2+r.IntN(4)]
	calls := map[string][]string{}
	for i, name := range names {
		for _, callee := range names[:i] {
			if r.IntN(2) == 0 {
				calls[name] = append(calls[name], callee)
			}
		}
	}
	generation, built := map[string]int{}, map[string]Function{}
	var records []*Record
	for n := range 2 + r.IntN(4) {
		for _, name := range names {
			if r.IntN(2) == 0 {
				generation[name]++
			}
		}
		record := &Record{Functions: map[string]Function{}}
		for _, name := range names {
			f := at(name, fmt.Sprint(name, generation[name]))
			for _, callee := range calls[name] {
				f.Calls[callee] = fmt.Sprint(callee, generation[callee])
			}
			f.ArtifactDigest = fmt.Sprint(name, generation[name], f.Calls)
			record.Functions[name] = f
			built[f.ArtifactDigest] = f
		}
		if n == 0 && r.IntN(4) == 0 {
			delete(record.Functions, names[len(names)-1]) // the last is new
		}
		records = append(records, record)
	}
	h := history(records...)
	return h, h[0].Functions
}

// smallest returns how many functions move at least, or -1 if there is no way.
func smallest(h History, running map[string]Function, wished string, v Version) int {
	names := slices.Sorted(maps.Keys(running))
	least := -1
	var try func(i int, moved map[string]Function)
	try = func(i int, moved map[string]Function) {
		if i == len(names) {
			if Fit(moved, running, nil, unreadable) != nil {
				return
			}
			n := 0
			for name, f := range moved {
				if f.ArtifactDigest != running[name].ArtifactDigest {
					n++
				}
			}
			if least < 0 || n < least {
				least = n
			}
			return
		}
		if names[i] == wished {
			moved[wished] = v.Function
			try(i+1, moved)
			return
		}
		try(i+1, moved)
		for _, other := range h.Versions(names[i], 0) {
			moved[names[i]] = other.Function
			try(i+1, moved)
			delete(moved, names[i])
		}
	}
	try(0, map[string]Function{})
	return least
}
