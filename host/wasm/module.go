package wasm

import (
	"bytes"
	"fmt"
	"slices"

	"countersign/host/runtime/limits"
)

// ModuleError says why a module can't be run. It will not change by trying again.
type ModuleError struct {
	Reason ModuleReason
	Detail string
}

// ModuleReason classifies a ModuleError.
type ModuleReason string

// The reasons of a ModuleError.
const (
	ReasonMalformed  ModuleReason = "malformed"   // not a valid WebAssembly module
	ReasonImport     ModuleReason = "import"      // it imports what no function may have
	ReasonExport     ModuleReason = "export"      // an export of the calling convention is missing or has a wrong type
	ReasonABIVersion ModuleReason = "abi_version" // it follows another version of the calling convention
	ReasonMemory     ModuleReason = "memory"      // it needs more memory than it may have
	ReasonInitialize ModuleReason = "initialize"  // its initialisation failed
	ReasonTooLarge   ModuleReason = "too_large"   // it is larger, or harder to compile, than any function may be
)

// Error implements error.
func (e *ModuleError) Error() string {
	return fmt.Sprintf("WebAssembly module (%s): %s", e.Reason, e.Detail)
}

// Unrunnable implements runtime.Unrunnable.
func (e *ModuleError) Unrunnable() {}

func moduleErrorf(reason ModuleReason, format string, args ...any) *ModuleError {
	return &ModuleError{Reason: reason, Detail: limits.Clip(fmt.Sprintf(format, args...))}
}

// pageSize is the size of a page of WebAssembly memory, in bytes.
const pageSize = 64 << 10

const (
	importModule = "countersign_v1"
	wasiModule   = "wasi_snapshot_preview1"

	exportInitialize = "_initialize"
	exportAlloc      = "countersign_v1_alloc"
	exportHandle     = "countersign_v1_handle"
	exportDescribe   = "countersign_v1_describe"
	exportMemory     = "memory"
)

// Value types, as in the binary format.
const (
	typeI32 = 0x7f
	typeI64 = 0x7e
)

// signature is a function type.
type signature struct{ params, results []byte }

func (s signature) equal(o signature) bool {
	return bytes.Equal(s.params, o.params) && bytes.Equal(s.results, o.results)
}

// requiredExports is what makes a module a function.
var requiredExports = map[string]signature{
	exportInitialize: {},
	exportAlloc:      {params: []byte{typeI32}, results: []byte{typeI32}},
	exportHandle:     {params: []byte{typeI32, typeI32}, results: []byte{typeI64}},
	exportDescribe:   {results: []byte{typeI64}},
}

// hostImports is what the module "countersign_v1" offers.
var hostImports = map[string]signature{
	"call":           {params: []byte{typeI32, typeI32, typeI32, typeI32, typeI64}, results: []byte{typeI32}},
	"read_reply":     {params: []byte{typeI32}},
	"network_dial":   {params: []byte{typeI32, typeI32}, results: []byte{typeI32}},
	"network_listen": {params: []byte{typeI32, typeI32}, results: []byte{typeI32}},
	"network_status": {params: []byte{typeI32}, results: []byte{typeI32}},
}

// export is an entry of the export section.
type export struct {
	kind  byte // 0 function, 1 table, 2 memory, 3 global
	index uint32
}

// module is what the host needs to know about a module before it compiles it.
type module struct {
	sections  map[byte][]byte
	types     []signature
	imported  uint32   // functions that it imports
	functions []uint32 // type of each function that it defines
	globals   uint32
	resident  resident // what a sandbox has of it beside its linear memory
	exports   map[string]export
}

// parseModule reads a module and checks that it is a function in the sense of the calling convention.
func parseModule(binary []byte) (m *module, err error) {
	defer recoverModuleError(&err)
	if len(binary) > maxModule {
		return nil, tooMuch("%d bytes are more than the %d that a module may have", len(binary), maxModule)
	}
	if !bytes.HasPrefix(binary, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, malformed("it does not begin like WebAssembly 1.0")
	}
	m = &module{sections: map[byte][]byte{}, exports: map[string]export{}}
	m.readSections(binary)
	if _, ok := m.sections[sectionStart]; ok {
		return nil, moduleErrorf(ReasonInitialize, "it has a start function, which nothing could stop: use _initialize")
	}
	m.readTypes()
	m.readImports()
	m.readFunctions()
	m.readTables()
	m.readGlobals()
	m.readExports()
	m.readElements()
	m.readData()
	return m, m.checkExports()
}

func (m *module) readSections(binary []byte) {
	d := decoder{data: binary, pos: 8}
	last := -1
	for !d.done() {
		id := d.byte()
		payload := d.bytes(d.u32())
		if id == sectionCustom {
			continue // names and the like, which nothing here needs
		}
		rank := slices.Index(sectionOrder[:], id)
		if rank <= last {
			panic(malformed("section %d is unknown, repeated or out of order", id))
		}
		last = rank
		m.sections[id] = payload
	}
}

func (m *module) readTypes() {
	d := decoder{data: m.sections[sectionType]}
	if d.done() {
		panic(malformed("it has no types"))
	}
	total := 0
	for range d.count(maxTypes, "types") {
		if d.byte() != 0x60 {
			panic(malformed("a type is not a function type"))
		}
		params := d.valueTypes(maxArity, "parameters of one type")
		results := d.valueTypes(maxArity, "results of one type")
		m.types = append(m.types, signature{params, results})
		if total += len(params) + len(results); total > maxArities {
			panic(tooMuch("its types have more than %d parameters and results", maxArities))
		}
	}
}

func (m *module) typeAt(index uint32) signature {
	if uint64(index) >= uint64(len(m.types)) {
		panic(malformed("a function has the unknown type %d", index))
	}
	return m.types[index]
}

func (m *module) readImports() {
	d := decoder{data: m.sections[sectionImport]}
	if d.done() {
		return
	}
	for range d.count(maxImports, "imports") {
		from := string(d.bytes(d.count(maxImportName, "bytes of a name in an import")))
		name := string(d.bytes(d.count(maxImportName, "bytes of a name in an import")))
		if kind := d.byte(); kind != 0 {
			panic(moduleErrorf(ReasonImport, "it imports %q from %q, which is not a function", name, from))
		}
		sig := m.typeAt(d.u32())
		switch from {
		case wasiModule: // checked when it is linked
		case importModule:
			want, ok := hostImports[name]
			if !ok || !sig.equal(want) {
				panic(moduleErrorf(ReasonImport, "the host offers no function %q of that type in %q", name, from))
			}
		default:
			panic(moduleErrorf(ReasonImport, "it imports %q from %q; a function may import from %q and %q alone",
				name, from, wasiModule, importModule))
		}
		m.imported++
		m.resident.imports++
	}
}

func (m *module) readFunctions() {
	d := decoder{data: m.sections[sectionFunction]}
	if d.done() {
		return
	}
	for range d.count(maxFunctions, "functions") {
		index := d.u32()
		m.typeAt(index)
		m.functions = append(m.functions, index)
	}
}

func (m *module) readExports() {
	d := decoder{data: m.sections[sectionExport]}
	if d.done() {
		return
	}
	for range d.count(maxExports, "exports") {
		name := d.name()
		m.exports[name] = export{kind: d.byte(), index: d.u32()}
	}
}

// checkExports looks for the calling convention's exports with exactly their types.
func (m *module) checkExports() error {
	if _, ok := m.exports[exportHandle]; !ok {
		if other := m.otherVersion(); other != "" {
			return moduleErrorf(ReasonABIVersion, "it exports %q; this host speaks version 1 alone: "+
				"build it with a matching SDK", limits.Clip(other))
		}
	}
	if _, ok := m.exports[exportStop]; ok {
		return moduleErrorf(ReasonExport, "it exports the reserved name %q", exportStop)
	}
	for name, want := range requiredExports {
		e, ok := m.exports[name]
		if !ok || e.kind != 0 {
			return moduleErrorf(ReasonExport, "it does not export the function %q: is it built as a reactor "+
				"(go build -buildmode=c-shared) and does it use the SDK?", name)
		}
		sig, ok := m.signatureOf(e.index)
		if !ok || !sig.equal(want) {
			return moduleErrorf(ReasonExport, "its export %q has another type than the calling convention says", name)
		}
	}
	if e, ok := m.exports[exportMemory]; !ok || e.kind != 2 {
		return moduleErrorf(ReasonExport, "it does not export its memory as %q", exportMemory)
	}
	return nil
}

// signatureOf returns the type of a function that the module defines itself.
func (m *module) signatureOf(function uint32) (signature, bool) {
	if function < m.imported || uint64(function-m.imported) >= uint64(len(m.functions)) {
		return signature{}, false
	}
	return m.types[m.functions[function-m.imported]], true
}

// otherVersion returns the first export of another version of the calling convention.
func (m *module) otherVersion() string {
	var names []string
	for name := range m.exports {
		var version int
		var rest string
		if n, _ := fmt.Sscanf(name, "countersign_v%d_%s", &version, &rest); n == 2 && version != 1 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}
