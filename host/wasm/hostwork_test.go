package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime/limits"
)

// wasiTypes are the types of an assembly, and two of WASI's functions.
const (
	asmRandomGet = iota + asmReadReply + 1
	asmPollOneoff
)

var wasiTypes = slices.Concat(asmTypes, [][]byte{
	{0x60, 2, typeI32, typeI32, 1, typeI32},
	{0x60, 4, typeI32, typeI32, typeI32, typeI32, 1, typeI32},
})

// importing is a module with one function of WASI.
func importing(name string, kind byte, a assembly) assembly {
	a.imports = [][2]string{{wasiModule, name}} // so that functions are counted from 1
	a.sections = map[byte][]byte{
		sectionType:   vector(wasiTypes...),
		sectionImport: vector(append(append(text(wasiModule), text(name)...), 0, kind)),
		sectionMemory: append([]byte{1, 0}, appendU32(nil, 512)...),
	}
	return a
}

// TestWorkOfTheHostEnds has the host work on all of a function's 32 MiB of memory, again and again, without an end.
func TestWorkOfTheHostEnds(t *testing.T) {
	const memory = 512 * pageSize
	random := slices.Concat(i32Const(0), i32Const(memory), []byte{opCall, 0, opDrop})
	poll := slices.Concat(i32Const(0), i32Const(0), i32Const(memory/48), i32Const(0), []byte{opCall, 0, opDrop})
	write := slices.Concat(i32Const(1), i32Const(8), i32Const(memory/8-1), i32Const(0), []byte{opCall, 0, opDrop})
	forever := func(code []byte) []byte {
		return slices.Concat([]byte{opLoop, blockEmpty}, code, []byte{opBr, 0, opEnd}, i64Const(0, 0))
	}
	for name, module := range map[string]assembly{
		"random numbers":             importing("random_get", asmRandomGet, assembly{handle: forever(random)}),
		"random numbers in sequence": importing("random_get", asmRandomGet, assembly{handle: append(slices.Repeat(random, 5000), i64Const(0, 0)...)}),
		"subscriptions":              importing("poll_oneoff", asmPollOneoff, assembly{handle: forever(poll)}),
		"writes of nothing":          importing("fd_write", asmPollOneoff, assembly{handle: forever(write)}),
	} {
		t.Run(name, func(t *testing.T) {
			i, err := engine.Load(context.Background(), module.encode(), named("busy", limits.Limits{Memory: 64 << 20}))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := invoke(i, 100*time.Millisecond, "{}")
				ended <- err
			}()
			select {
			case err := <-ended:
				wantCode(t, err, countersign.CodeDeadline)
				if err := i.Close(context.Background()); err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("it goes on long after its deadline")
			}
		})
	}
}

// TestImportsInTablesAreRefused has functions of the host called where the host can't see that they are.
func TestImportsInTablesAreRefused(t *testing.T) {
	for name, s := range map[string]map[byte][]byte{
		"an element":          {sectionElement: slices.Concat([]byte{1, 1, 0}, repeated(2, 0))},
		"an active element":   {sectionTable: funcTable(9), sectionElement: slices.Concat([]byte{1, 0, opI32Const, 0, opEnd}, repeated(1, 0))},
		"an expression":       {sectionElement: slices.Concat([]byte{1, 5, 0x70}, repeated(1, opRefFunc, 0, opEnd))},
		"a global":            {sectionGlobal: repeated(1, 0x70, 0, opRefFunc, 0, opEnd)},
		"a long number for 0": {sectionElement: slices.Concat([]byte{1, 1, 0}, repeated(2, 0x80, 0))},
	} {
		_, err := engine.Load(context.Background(), assembly{imports: [][2]string{{importModule, "call"}}, sections: s}.encode(),
			named("table", limits.Limits{Memory: 2 << 20}))
		var refused *ModuleError
		if !errors.As(err, &refused) || refused.Reason != ReasonImport || !strings.Contains(refused.Detail, "into a table") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
