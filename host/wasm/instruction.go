package wasm

const (
	opBr      = 0x0c
	opBrIf    = 0x0d
	opMisc    = 0xfc
	opSIMD    = 0xfd
	opF32     = 0x43
	opF64     = 0x44
	opRefNil  = 0xd0
	opRefFunc = 0xd2
)

// instruction is one instruction, as far as the host cares.
type instruction struct {
	op   byte
	bulk bool // it works on as much as its topmost operand says

	index uint32 // of a call and of a reference to a function: which one
}

// instruction passes over one instruction with its immediates (core specification 2.0, section 5.4). What the host
// does not know it refuses, since it could not tell where the next instruction begins.
func (d *decoder) instruction() instruction {
	op := d.byte()
	in := instruction{op: op}
	switch {
	case op == opBlock || op == opLoop || op == opIf:
		d.blockType()
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op == opCall, op == opRefFunc:
		in.index = d.u32()
	case op == opBr, op == opBrIf, op >= 0x20 && op <= 0x26:
		d.u32()
	case op == 0x3f, op == opMemoryGrow:
		d.zero()
	case op == opBrTable:
		for range d.u32() {
			d.u32()
		}
		d.u32()
	case op == opCallIndirect, op >= 0x28 && op <= 0x3e:
		d.u32()
		d.u32()
	case op == opSelectTyped:
		if len(d.valueTypes(1, "types of one select")) != 1 {
			panic(malformed("a select is of no type"))
		}
	case op == opI32Const, op == 0x42:
		d.skipNumber()
	case op == opRefNil:
		d.valueType()
	case op == opF32:
		d.bytes(4)
	case op == opF64:
		d.bytes(8)
	case op == opMisc:
		in.bulk = d.misc()
	case op == opSIMD:
		d.simd()
	default:
		panic(malformed("the instruction %#x is not one that functions may use", op))
	}
	return in
}

// misc passes over an instruction with the prefix 0xfc and tells whether it is a bulk instruction.
func (d *decoder) misc() (bulk bool) {
	switch op := d.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
		return false
	case 8: // memory.init
		d.u32()
		d.zero()
		return true
	case 10: // memory.copy
		d.zero()
		d.zero()
		return true
	case 11: // memory.fill
		d.zero()
		return true
	case 12, 14: // table.init, table.copy
		d.u32()
		d.u32()
		return true
	case 17: // table.fill
		d.u32()
		return true
	case 9, 13, 16: // data.drop, elem.drop, table.size
		d.u32()
		return false
	default: // table.grow, too: tables live outside the memory that the budget counts
		panic(malformed("the instruction 0xfc %d is not one that functions may use", op))
	}
}

// simd passes over an instruction with the prefix 0xfd. Its number may have any length, and more than 8 bits, by the
// specification; the compiler takes one byte for it and another, where that is not enough, for a nop. So it must be that.
func (d *decoder) simd() {
	op := d.byte()
	if op >= 0x80 && d.byte() != 1 {
		panic(malformed("the number of the instruction 0xfd %#x is not one that functions may use", op))
	}
	switch {
	case op <= 11, op == 92, op == 93: // loads and stores
		d.u32()
		d.u32()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		d.bytes(16)
	case op >= 21 && op <= 34: // lanes
		d.byte()
	case op >= 84 && op <= 91: // loads and stores of lanes
		d.u32()
		d.u32()
		d.byte()
	}
}
