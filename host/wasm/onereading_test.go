package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"countersign/host/runtime/limits"
)

// TestCodeIsReadAsTheCompilerReadsIt has code that the compiler would read in another way than who adds the safepoints:
// what is hidden from that, such as a loop, nothing could stop.
func TestCodeIsReadAsTheCompilerReadsIt(t *testing.T) {
	hidden := []byte{opLoop, blockEmpty, opBr, 0, opEnd} // for ever
	nops := slices.Repeat([]byte{0x01}, 16)
	vector128 := append([]byte{opSIMD, 12}, nops...)
	whole := func(code ...[]byte) assembly { return assembly{more: [][]byte{slices.Concat(code...)}} }
	plain := func(code ...[]byte) assembly {
		return assembly{more: [][]byte{slices.Concat([]byte{0}, slices.Concat(code...), []byte{opEnd})}}
	}
	drop := []byte{opDrop}
	for name, module := range map[string]assembly{
		// To one reader the last group begins v128.const, whose operand is what follows.
		"variables of a type of two bytes": whole([]byte{3, 1, 0x63, 0x70, 1, 0x63, 0x70, opSIMD, 12, typeI32}, hidden, nops[:10], []byte{opEnd}),
		"variables that are never null":    whole([]byte{1, 1, 0x64, 0x70, opEnd}),
		// To one reader this is v128.const, to the other a shift, unreachable, and the end of the block.
		"a long number of an instruction": plain([]byte{opBlock, blockEmpty, opI32Const, 0, opBrIf, 0}, vector128, []byte{opI32Const, 0, opSIMD, 0x8c, 0, opEnd},
			hidden, nops[:10]),
		"a number of 9 bits":        plain(vector128, []byte{opSIMD, 0x80, 2, blockEmpty}, hidden, []byte{opEnd}, drop),
		"a block of a type":         plain([]byte{opBlock, 0x63, 0x70, opRefNil, 0x70, opEnd}, drop),
		"a block of a long type":    plain([]byte{opBlock, 0xe3, 0x7f, 0x70, opRefNil, 0x70, opEnd}, drop),
		"a select of a type":        plain([]byte{opRefNil, 0x70, opRefNil, 0x70, opI32Const, 0, opSelectTyped, 1, 0x63, 0x70}, drop),
		"a select of no type":       plain([]byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, opSelectTyped, 0}, drop),
		"null of a type":            plain([]byte{opRefNil, 0}, drop),
		"a long index of memory":    plain([]byte{opI32Const, 0, opMemoryGrow, 0x80, 0}, drop),
		"a long index in a copy":    plain([]byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, 10, 0x80, 0, 0}),
		"a long index in a fill":    plain([]byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, 11, 0x80, 0}),
		"parameters of such a type": {sections: map[byte][]byte{sectionType: vector(append(slices.Clone(asmTypes), []byte{0x60, 1, 0x63, 0x70, 0})...)}},
		"a global of such a type":   {sections: map[byte][]byte{sectionGlobal: {1, 0x63, 0x70, 0, opRefNil, 0x70, opEnd}}},
		"a table of such a type":    {sections: map[byte][]byte{sectionTable: {1, 0x63, 0x70, 0, 1}}},
		"a table with its elements": {sections: map[byte][]byte{sectionTable: {1, blockEmpty, 0, 0x70, 0, 1, opRefNil, 0x70, opEnd}}},
		"elements of such a type":   {sections: map[byte][]byte{sectionElement: {1, 5, 0x63, 0x70, 0}}},
	} {
		i, err := engine.Load(context.Background(), module.encode(), named("hidden", limits.Limits{Memory: 2 << 20}))
		var refused *ModuleError
		if !errors.As(err, &refused) || refused.Reason != ReasonMalformed || strings.HasPrefix(refused.Detail, "it does not compile") {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			t.Error(i.Close(context.Background()))
		}
	}
}
