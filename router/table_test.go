package router

import (
	"testing"

	"countersign"
)

type fixed struct {
	id, function string
	inFlight     int
}

func (f *fixed) ID() string       { return f.id }
func (f *fixed) Function() string { return f.function }
func (f *fixed) InFlight() int    { return f.inFlight }

func TestPickPrefersTheLessBusyInstance(t *testing.T) {
	var table Table[*fixed]
	busy, idle := &fixed{"a", "tax", 9}, &fixed{"b", "tax", 1}
	table.Add(busy)
	table.Add(idle)
	for range 100 {
		got, err := table.Pick("tax")
		if err != nil || got != idle {
			t.Fatalf("Pick = %v, %v; want the idle instance", got, err)
		}
	}
}

func TestPickSpreadsOverAllInstances(t *testing.T) {
	var table Table[*fixed]
	for _, id := range []string{"a", "b", "c"} {
		table.Add(&fixed{id, "tax", 0})
	}
	seen := map[string]int{}
	for range 1000 {
		got, err := table.Pick("tax")
		if err != nil {
			t.Fatal(err)
		}
		seen[got.id]++
	}
	for _, id := range []string{"a", "b", "c"} {
		if seen[id] < 200 {
			t.Errorf("instance %s was picked %d times of 1000", id, seen[id])
		}
	}
}

func TestRemovedInstanceIsNotPicked(t *testing.T) {
	var table Table[*fixed]
	a, b := &fixed{"a", "tax", 0}, &fixed{"b", "tax", 5}
	table.Add(a)
	table.Add(a)
	table.Add(b)
	table.Remove(a)
	if got, err := table.Pick("tax"); err != nil || got != b {
		t.Fatalf("Pick = %v, %v; want b", got, err)
	}
	table.Remove(b)
	if _, err := table.Pick("tax"); countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Fatalf("Pick of an empty table: %v; want code unavailable", err)
	}
}

func BenchmarkPick(b *testing.B) {
	var table Table[*fixed]
	for _, id := range []string{"a", "b", "c"} {
		table.Add(&fixed{id, "tax", 0})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Pick("tax"); err != nil {
			b.Fatal(err)
		}
	}
}
