package wasm

import "maps"

// assembly is a module put together by hand, to say what no compiler would.
type assembly struct {
	imports [][2]string // module and function of type (i32, i32, i32, i32, i64) → i32, or of type (i32) for "read_reply"
	alloc   []byte      // bodies, without locals and end
	handle  []byte
	extra   []byte            // body of a function more, of type () → ()
	exports map[string]export // beside or instead of the usual ones
	omit    string            // an export that is left out
	data    string            // at address 1024
	pages   byte              // of memory
	start   bool              // the extra function is the start function

	more     [][]byte        // bodies of more functions, whole, of type () → ()
	sections map[byte][]byte // instead of the usual ones, or beside them
}

// Function types of an assembly.
const (
	asmAlloc = iota
	asmHandle
	asmDescribe
	asmInitialize
	asmCall
	asmReadReply
)

var asmTypes = [][]byte{
	{0x60, 1, typeI32, 1, typeI32},
	{0x60, 2, typeI32, typeI32, 1, typeI64},
	{0x60, 0, 1, typeI64},
	{0x60, 0, 0},
	{0x60, 5, typeI32, typeI32, typeI32, typeI32, typeI64, 1, typeI32},
	{0x60, 1, typeI32, 0},
}

func i32Const(v int32) []byte { return appendI32([]byte{opI32Const}, v) }

// i64Const encodes ptr<<32 | size, as the results of the calling convention are.
func i64Const(ptr, size uint32) []byte {
	v := int64(uint64(ptr)<<32 | uint64(size))
	out := []byte{0x42}
	for {
		b := byte(v) & 0x7f
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func vector(elements ...[]byte) []byte {
	out := appendU32(nil, uint32(len(elements)))
	for _, e := range elements {
		out = append(out, e...)
	}
	return out
}

func text(s string) []byte { return append(appendU32(nil, uint32(len(s))), s...) }

func asmBody(code []byte) []byte {
	body := append(append([]byte{0}, code...), opEnd)
	return append(appendU32(nil, uint32(len(body))), body...)
}

func (a assembly) encode() []byte {
	var imports [][]byte
	for _, i := range a.imports {
		kind := byte(asmCall)
		if i[1] == "read_reply" {
			kind = asmReadReply
		}
		imports = append(imports, append(append(text(i[0]), text(i[1])...), 0, kind))
	}
	if a.alloc == nil {
		a.alloc = i32Const(8192)
	}
	if a.handle == nil {
		a.handle = i64Const(0, 0)
	}
	n := uint32(len(imports))
	exported := map[string]export{
		exportAlloc: {0, n}, exportHandle: {0, n + 1}, exportDescribe: {0, n + 2}, "_initialize": {0, n + 3},
		exportMemory: {2, 0},
	}
	maps.Copy(exported, a.exports)
	delete(exported, a.omit)
	var exports [][]byte
	for name, e := range exported {
		exports = append(exports, append(append(text(name), e.kind), appendU32(nil, e.index)...))
	}
	functions := [][]byte{{asmAlloc}, {asmHandle}, {asmDescribe}, {asmInitialize}, {asmInitialize}}
	bodies := [][]byte{asmBody(a.alloc), asmBody(a.handle), asmBody(i64Const(0, 0)), asmBody(nil), asmBody(a.extra)}
	for _, body := range a.more {
		functions, bodies = append(functions, []byte{asmInitialize}), append(bodies, append(appendU32(nil, uint32(len(body))), body...))
	}
	sections := map[byte][]byte{
		sectionType:     vector(asmTypes...),
		sectionImport:   vector(imports...),
		sectionFunction: vector(functions...),
		sectionMemory:   {1, 0, max(a.pages, 1)},
		sectionExport:   vector(exports...),
		sectionCode:     vector(bodies...),
		sectionData:     vector(append(append([]byte{0}, append(i32Const(1024), opEnd)...), text(a.data)...)),
	}
	if a.start {
		sections[sectionStart] = appendU32(nil, n+4)
	}
	maps.Copy(sections, a.sections)
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range sectionOrder {
		if payload, ok := sections[id]; ok {
			module = append(append(append(module, id), appendU32(nil, uint32(len(payload)))...), payload...)
		}
	}
	return module
}
