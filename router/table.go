package router

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"countersign"
)

// Table is the routing table of a node. A pick reads one atomic pointer; changes copy the table. The zero value is an
// empty table, ready to use.
type Table[T Instance] struct {
	mu       sync.Mutex // serializes changes
	snapshot atomic.Pointer[map[string][]T]
}

// Add makes an instance eligible for calls. Adding one that is in the table already is a no-op.
func (t *Table[T]) Add(in T) {
	t.change(func(m map[string][]T) {
		list := m[in.Function()]
		if !slices.ContainsFunc(list, func(o T) bool { return o.ID() == in.ID() }) {
			m[in.Function()] = append(slices.Clip(list), in)
		}
	})
}

// Remove takes an instance out of the table; calls that it already has go on.
func (t *Table[T]) Remove(in T) {
	t.change(func(m map[string][]T) {
		list := slices.DeleteFunc(slices.Clone(m[in.Function()]), func(o T) bool { return o.ID() == in.ID() })
		if len(list) == 0 {
			delete(m, in.Function())
			return
		}
		m[in.Function()] = list
	})
}

func (t *Table[T]) change(edit func(map[string][]T)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[string][]T{}
	if old := t.snapshot.Load(); old != nil {
		next = maps.Clone(*old)
	}
	edit(next)
	t.snapshot.Store(&next)
}

// Pick returns the instance that should run a call of function: of two picked at random, the one with fewer calls in
// flight. Without an instance the error is a *countersign.CallError with CodeUnavailable.
func (t *Table[T]) Pick(function string) (T, error) {
	var list []T
	if m := t.snapshot.Load(); m != nil {
		list = (*m)[function]
	}
	switch len(list) {
	case 0:
		var none T
		return none, &countersign.CallError{Code: countersign.CodeUnavailable, Function: function,
			Reason: fmt.Sprintf("no healthy instance of function %q on this node", function)}
	case 1:
		return list[0], nil
	}
	i := rand.IntN(len(list))
	j := rand.IntN(len(list) - 1)
	if j >= i {
		j++
	}
	if list[j].InFlight() < list[i].InFlight() {
		return list[j], nil
	}
	return list[i], nil
}
