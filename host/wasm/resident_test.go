package wasm

import (
	"bytes"
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"countersign/host/runtime/limits"
)

// repeated is a vector of n times the same.
func repeated(n int, element ...byte) []byte {
	return append(appendU32(nil, uint32(n)), bytes.Repeat(element, n)...)
}

// funcTable is a table of n elements.
func funcTable(n uint32) []byte { return appendU32([]byte{1, 0x70, 0}, n) }

// residents are modules with much of what sandboxes keep outside of their linear memory.
func residents() map[string]assembly {
	active := slices.Concat([]byte{1, 0, opI32Const, 0, opEnd}, repeated(50000, 3))
	expressions := slices.Concat([]byte{1, 5, 0x70}, repeated(50000, opRefFunc, 3, opEnd))
	return map[string]assembly{
		"nothing":               {},
		"globals":               {sections: map[byte][]byte{sectionGlobal: repeated(50000, typeI64, 1, 0x42, 0, opEnd)}},
		"globals of references": {sections: map[byte][]byte{sectionGlobal: repeated(50000, 0x70, 1, opRefFunc, 3, opEnd)}},
		"tables":                {sections: map[byte][]byte{sectionTable: funcTable(200000)}},
		"elements":              {sections: map[byte][]byte{sectionTable: funcTable(50000), sectionElement: active}},
		"passive elements":      {sections: map[byte][]byte{sectionElement: slices.Concat([]byte{1, 1, 0}, repeated(50000, 3))}},
		"expressions":           {sections: map[byte][]byte{sectionElement: expressions}},
		"many segments":         {sections: map[byte][]byte{sectionElement: repeated(9000, 1, 0, 1, 3)}},
		"data segments":         {sections: map[byte][]byte{sectionData: repeated(90000, 1, 0)}},
		"imports":               {imports: slices.Repeat([][2]string{{importModule, "read_reply"}}, 900)},
	}
}

func TestResidentIsWhatTheHostHolds(t *testing.T) {
	const sandboxes = 8
	heap := func() int64 {
		var stats goruntime.MemStats
		goruntime.GC()
		goruntime.GC() // what has a finalizer takes two
		goruntime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	for name, module := range residents() {
		t.Run(name, func(t *testing.T) {
			i := loadModule(t, module.encode(), named("resident", limits.Limits{Memory: 512 << 20, Concurrency: sandboxes + 1}))
			booked, before := i.Usage().MemoryBytes, heap()
			var made []*sandbox
			for range sandboxes {
				s, err := i.newSandbox(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				made = append(made, s)
			}
			held, counted := (heap()-before)/sandboxes, (i.Usage().MemoryBytes-booked)/sandboxes
			t.Logf("a sandbox holds %d bytes of the host's heap, counted with %d", held, counted-i.stack-i.initial)
			if held > counted-i.stack-i.initial {
				t.Errorf("a sandbox holds %d bytes of the host's heap beside the %d that it was counted with", held, counted)
			}
			for _, s := range made {
				s.close()
			}
		})
	}
}

func TestWhatDoesNotFitIsRefusedAtLoad(t *testing.T) {
	for name, module := range residents() {
		if name == "nothing" || name == "imports" || name == "many segments" {
			continue // they fit
		}
		_, err := engine.Load(context.Background(), module.encode(), named("large", limits.Limits{Memory: 1 << 20}))
		var refused *ModuleError
		if !errors.As(err, &refused) || refused.Reason != ReasonMemory || !strings.Contains(refused.Detail, "globals and call stack") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
