package wasm

import "math"

// Section identifiers of the WebAssembly binary format (core specification 2.0, section 5.5.2).
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8
	sectionElement  = 9
	sectionCode     = 10
	sectionData     = 11
	sectionCount    = 12
)

// sectionOrder is the order in which a module has its sections, each at most once.
var sectionOrder = [...]byte{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal,
	sectionExport, sectionStart, sectionElement, sectionCount, sectionCode, sectionData}

// decoder reads the binary format. Its methods panic with a *ModuleError on malformed input, which keeps the walk
// over a module's code readable; every entry into this file's users recovers it with recoverModuleError.
type decoder struct {
	data []byte
	pos  int
}

// recoverModuleError turns the panic of a decoder into an error, and lets every other panic pass.
func recoverModuleError(err *error) {
	switch v := recover().(type) {
	case nil:
	case *ModuleError:
		*err = v
	default:
		panic(v)
	}
}

func malformed(format string, args ...any) *ModuleError {
	return moduleErrorf(ReasonMalformed, format, args...)
}

func (d *decoder) done() bool { return d.pos >= len(d.data) }

func (d *decoder) byte() byte {
	if d.pos >= len(d.data) {
		panic(malformed("it ends in the middle of something"))
	}
	b := d.data[d.pos]
	d.pos++
	return b
}

func (d *decoder) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(d.data)-d.pos) {
		panic(malformed("a length goes beyond its end"))
	}
	b := d.data[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (d *decoder) u32() uint32 {
	var value uint64
	for shift := 0; shift < 35; shift += 7 {
		b := d.byte()
		value |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if value > math.MaxUint32 {
				break
			}
			return uint32(value)
		}
	}
	panic(malformed("a number is out of range"))
}

// skipNumber passes over a LEB128 number of at most 64 bits; its value is validated by the compiler.
func (d *decoder) skipNumber() {
	for range 10 {
		if d.byte() < 0x80 {
			return
		}
	}
	panic(malformed("a number is out of range"))
}

// valueType reads a type that has one byte. The compiler also knows types of several bytes, of later versions of the
// specification; who takes one for the other reads other code than the compiler does.
func (d *decoder) valueType() byte {
	switch t := d.byte(); t {
	case typeI32, typeI64, 0x7d, 0x7c, 0x7b, 0x70, 0x6f: // f32, f64, v128, funcref, externref
		return t
	default:
		panic(malformed("the type %#x is not one that functions may use", t))
	}
}

// valueTypes reads a vector of such types, of which there may be at most so many.
func (d *decoder) valueTypes(most uint32, what string) []byte {
	n := d.count(most, what)
	types := d.data[d.pos:min(d.pos+int(n), len(d.data))]
	for range n {
		d.valueType()
	}
	return types
}

// zero passes over the index of the one memory. The compiler takes it for one byte.
func (d *decoder) zero() {
	if d.byte() != 0 {
		panic(malformed("it uses a memory that is not its first"))
	}
}

// blockType passes over the type of a block: none, a type of one byte, or the index of a type.
func (d *decoder) blockType() {
	switch first := d.byte(); {
	case first == blockEmpty:
	case first < 0x40:
	case first < 0x80:
		d.pos--
		d.valueType()
	default: // an index is a positive number, the sign of which is in its last byte
		d.pos--
		d.u32()
		if d.data[d.pos-1]&0x40 != 0 {
			panic(malformed("a block has an unknown type"))
		}
	}
}

func (d *decoder) name() string { return string(d.bytes(d.u32())) }

func appendU32(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// appendI32 appends a signed LEB128 number, as i32.const takes it.
func appendI32(dst []byte, v int32) []byte {
	for v < -64 || v > 63 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v)&0x7f)
}

// extendVector returns a vector's encoding with one element more.
func extendVector(vector, element []byte) []byte {
	if vector == nil {
		vector = []byte{0}
	}
	d := decoder{data: vector}
	count := d.u32()
	out := appendU32(make([]byte, 0, len(vector)+len(element)+1), count+1)
	out = append(out, vector[d.pos:]...)
	return append(out, element...)
}
