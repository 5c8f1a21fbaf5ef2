package wasm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/host/runtime/limits"
)

// again is a loop that goes on while a word of memory is not zero.
var again = []byte{opLoop, blockEmpty, opI32Const, 0, 0x28, 2, 0, opBrIf, 0, opEnd}

// nested is n times the beginning of something, and n times its end.
func nested(n int, begin, end []byte) []byte {
	return append(bytes.Repeat(begin, n), bytes.Repeat(end, n)...)
}

// withLocals is the body of a function with n variables.
func withLocals(n uint32, code ...byte) []byte {
	return append(append(append(appendU32([]byte{1}, n), typeI32), code...), opEnd)
}

// table is a br_table with n targets more than its default, which is the block around it.
func table(n uint32) []byte {
	return append(appendU32([]byte{opI32Const, 0, opBrTable}, n), make([]byte, n+1)...)
}

// entangled is a small module that is within all bounds and takes the compiler long: all its variables live in all its
// loops.
func entangled() []byte {
	const loops, variables = 600, 4000
	var set, get []byte
	for n := range uint32(variables) {
		set = appendU32(append(set, opI32Const, 1, 0x21), n)
		get = appendU32(append(get, opI32Const, 0, opLocalGet), n)
		get = append(get, 0x36, 2, 0)
	}
	code := slices.Concat(set, bytes.Repeat([]byte{opLoop, blockEmpty}, loops), get, set,
		bytes.Repeat([]byte{opI32Const, 0, 0x28, 2, 0, opBrIf, 0, opEnd}, loops), get)
	return assembly{more: [][]byte{withLocals(variables, code...)}}.encode()
}

func TestModulesThatAreHardToCompileAreRefused(t *testing.T) {
	many := func(n int) []byte { return bytes.Repeat([]byte{opBlock, blockEmpty, opEnd}, n) }
	body := func(code ...byte) assembly { return assembly{extra: code} }
	section := func(id byte, payload []byte) assembly { return assembly{sections: map[byte][]byte{id: payload}} }
	types := append(slices.Clone(asmTypes), append(append([]byte{0x60}, repeated(1001, typeI32)...), 0))
	wide := append(slices.Clone(asmTypes), append([]byte{0x60, 0}, repeated(1000, typeI32)...))
	e := bounded(t, 0, time.Second) // what is not refused before does not hold up the test
	for name, module := range map[string]assembly{
		"loops in sequence":     body(bytes.Repeat(again, 20000)...),
		"nested loops":          body(nested(20000, again[:2], again[2:])...),
		"nested blocks":         body(nested(100000, []byte{opBlock, blockEmpty}, []byte{opEnd})...),
		"nested conditions":     body(nested(40000, []byte{opI32Const, 0, opIf, blockEmpty}, []byte{opEnd})...),
		"conditions":            body(bytes.Repeat([]byte{opI32Const, 0, opIf, blockEmpty, opElse, opEnd}, 30000)...),
		"branches":              body(append(append([]byte{opBlock, blockEmpty}, bytes.Repeat([]byte{opI32Const, 0, opBrIf, 0}, 60000)...), opEnd)...),
		"returns":               body(bytes.Repeat([]byte{opI32Const, 0, opIf, blockEmpty, opReturn, opEnd}, 30000)...),
		"bulk copies":           body(bytes.Repeat([]byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, 11, 0}, 60000)...),
		"a huge table":          body(slices.Concat([]byte{opBlock, blockEmpty}, table(70000), []byte{opEnd})...),
		"many tables":           body(bytes.Repeat(slices.Concat([]byte{opBlock, blockEmpty}, table(1000), []byte{opEnd}), 200)...),
		"many functions of it":  {more: slices.Repeat([][]byte{append(append([]byte{0}, many(45000)...), opEnd)}, 10)},
		"variables of all":      {more: slices.Repeat([][]byte{withLocals(50000)}, 400)},
		"what is added":         {more: slices.Repeat([][]byte{append(append([]byte{0}, bytes.Repeat([]byte{opMisc, 11, 0}, 100)...), opEnd)}, 70000)},
		"the name of an import": {imports: [][2]string{{strings.Repeat("x", 257), "call"}}},
		"an import's name":      {imports: [][2]string{{importModule, strings.Repeat("x", 32<<20)}}},
		"many variables":        {more: [][]byte{withLocals(50001)}},
		"variables and blocks":  {more: [][]byte{withLocals(40000, many(2000)...)}},
		"a long function":       {more: [][]byte{withLocals(1, bytes.Repeat([]byte{0x01}, 4<<20)...)}},
		"types":                 section(sectionType, append(appendU32(nil, 10001), bytes.Repeat(asmTypes[asmInitialize], 10001)...)),
		"parameters":            section(sectionType, vector(types...)),
		"parameters of all":     section(sectionType, vector(slices.Concat(asmTypes, slices.Repeat(wide[len(asmTypes):], 101))...)),
		"functions":             section(sectionFunction, repeated(250001, asmInitialize)),
		"imports":               {imports: slices.Repeat([][2]string{{importModule, "read_reply"}}, 1001)},
		"globals":               section(sectionGlobal, repeated(100001, typeI32, 0, opI32Const, 0, opEnd)),
		"tables of nothing":     section(sectionTable, repeated(101, 0x70, 0, 0)),
		"element segments":      section(sectionElement, repeated(10001, 1, 0, 0)),
		"elements":              section(sectionElement, slices.Concat([]byte{1, 1, 0}, repeated(1<<20+1, 0))),
		"data segments":         section(sectionData, repeated(100001, 1, 0)),
		"a constant expression": section(sectionGlobal, slices.Concat([]byte{1, typeI32, 0}, bytes.Repeat([]byte{opI32Const, 0}, 100), []byte{opEnd})),
		"a whole module":        section(sectionData, append([]byte{1, 1}, text(strings.Repeat("x", maxModule))...)),
	} {
		i, err := e.Load(context.Background(), module.encode(), named("hard", limits.Limits{Memory: 64 << 20}))
		var refused *ModuleError
		if !errors.As(err, &refused) || refused.Reason != ReasonTooLarge || strings.Contains(refused.Detail, "compiling it") {
			t.Errorf("%s: got %.300v", name, err)
		}
		if err == nil {
			t.Error(i.Close(context.Background()))
		}
	}
	wideTables := bytes.Repeat(slices.Concat([]byte{opBlock}, appendI32(nil, int32(len(asmTypes))), []byte{opUnreachable}, table(1000), []byte{opEnd},
		bytes.Repeat([]byte{opDrop}, 1000)), 90)
	module := assembly{extra: wideTables, sections: map[byte][]byte{sectionType: vector(append(wide, slices.Repeat(wide[len(wide)-1:], 10)...)...)}}
	if p, err := parseModule(module.encode()); err != nil {
		t.Error(err)
	} else if s := p.scan(&decoder{data: append(wideTables, opEnd)}, signature{}); s.values < 90*1000*1000 {
		t.Errorf("tables of 1,000 targets with 1,000 operands each pass on %d operands", s.values)
	}
}

// TestCountingAddsLittle has what nothing goes back to be no loop, so that nothing is counted there.
func TestCountingAddsLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		code  []byte
		calls int // of the safepoint
	}{
		"empty loops":                  {bytes.Repeat([]byte{opLoop, blockEmpty, opEnd}, 5000), 0},
		"loops that are left":          {bytes.Repeat([]byte{opBlock, blockEmpty, opLoop, blockEmpty, opBr, 1, opEnd, opEnd}, 300), 0},
		"nested loops, one goes on":    {[]byte{opLoop, blockEmpty, opLoop, blockEmpty, opBr, 1, opEnd, opEnd}, 1},
		"loops that go on":             {bytes.Repeat(again, 10), 10},
		"a table that goes back":       {slices.Concat([]byte{opLoop, blockEmpty}, table(3), []byte{opEnd}), 1},
		"a loop with operands":         {[]byte{opI32Const, 0, opLoop, asmReadReply, opDrop, opEnd}, 0},
		"a loop with operands goes on": {[]byte{opI32Const, 0, opLoop, asmReadReply, opBr, 0, opEnd}, 1},
	} {
		module := assembly{extra: tt.code}.encode()
		m, err := parseModule(module)
		if err != nil {
			t.Fatal(err)
		}
		before := m.sections[sectionCode]
		safe, err := m.instrument()
		if err != nil {
			t.Fatal(err)
		}
		after, err := parseModule(append(safe[:len(safe):len(safe)], sectionCustom, 0))
		if after == nil {
			t.Fatal(err)
		}
		call := []byte{opCall, byte(len(m.functions))}
		if got := bytes.Count(after.sections[sectionCode], call) - bytes.Count(before, call); got > tt.calls+1 || got < tt.calls {
			t.Errorf("%s: counted at %d places, want %d and perhaps the entry", name, got, tt.calls)
			continue // what was made of it may take long to compile
		}
		i, err := engine.Load(context.Background(), module, named("loops", limits.Limits{Memory: 64 << 20}))
		if err != nil {
			t.Errorf("%s: what was made of it is not valid: %v", name, err)
		} else if err := i.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// bounded is an engine with a cache of its own, whose compiler may take only so much.
func bounded(t *testing.T, memory int64, cpu time.Duration) *Engine {
	t.Helper()
	e, err := NewEngine(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := filepath.Glob(filepath.Join(e.compiler.dir, scratchPrefix+"*")); err != nil || len(left) > 0 {
			t.Errorf("compiling left %v, %v", left, err)
		}
	})
	e.compiler.memory, e.compiler.cpu = memory, cpu
	return e
}

func TestCompilingIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		engine *Engine
		detail string
	}{
		"time":   {bounded(t, 0, time.Second), "of processor time"},
		"memory": {bounded(t, 1<<20, time.Hour), "bytes of memory"},
	} {
		_, err := tt.engine.Load(context.Background(), entangled(), named("entangled", limits.Limits{Memory: 64 << 20}))
		var refused *ModuleError
		if !errors.As(err, &refused) || refused.Reason != ReasonTooLarge || !strings.Contains(refused.Detail, tt.detail) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCompilingEndsWithItsStart also has another start of the same module, which goes on.
func TestCompilingEndsWithItsStart(t *testing.T) {
	e := bounded(t, 0, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	load := func(ctx context.Context) {
		_, err := e.Load(ctx, entangled(), named("entangled", limits.Limits{Memory: 64 << 20}))
		ended <- err
	}
	go load(ctx)
	for began := false; !began; {
		select {
		case err := <-ended:
			t.Fatal("compiling ended by itself:", err)
		case <-time.After(time.Millisecond):
		}
		made, err := filepath.Glob(filepath.Join(e.compiler.dir, scratchPrefix+"*", "*"))
		began = len(made) > 0 || err != nil
	}
	second, stop := context.WithCancel(context.Background())
	go load(second)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the start that waited for another's compiling got %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the start that compiled got %v", err)
	}
	if n := len(e.compiler.slots) + len(e.compiler.busy); n > 0 {
		t.Errorf("%d places of the compiler are still taken", n)
	}
}

// TestSpoiltCodeIsMadeAnew has the file of a module, which the host would run, cut off and removed.
func TestSpoiltCodeIsMadeAnew(t *testing.T) {
	e := bounded(t, 0, time.Hour)
	dir := e.compiler.dir
	for _, spoil := range []func(string) error{
		func(string) error { return nil },
		func(file string) error { return os.Truncate(file, 20) },
		os.Remove,
	} {
		files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := spoil(file); err != nil {
				t.Fatal(err)
			}
		}
		// Another engine, since one that has code in memory looks at no file.
		next, err := NewEngine(dir)
		if err != nil {
			t.Fatal(err)
		}
		i, err := next.Load(context.Background(), fixedReply("{}").encode(), named("spoilt", limits.Limits{Memory: 64 << 20}))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(i.Close(context.Background()), next.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}
}

func TestCompileRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, args := range [][]string{nil, {t.TempDir(), "x", "1"}, {t.TempDir(), "1", "x"}} {
		if status := Compile(args, strings.NewReader("")); status != exitRefused {
			t.Errorf("%v: status %d", args, status)
		}
	}
	t.Setenv(compileMark, "1")
	if _, err := NewEngine(t.TempDir()); err == nil || !strings.Contains(err.Error(), "does not call wasm.Compile") {
		t.Errorf("an executable that does not know the command: %v", err)
	}
}
