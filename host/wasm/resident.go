package wasm

// resident is what of a module a sandbox keeps outside of its linear memory, in the host's.
type resident struct {
	imports, globals, elements, segments, data uint64
	table                                      uint64 // elements of all tables
}

// What one of each takes in the host, in bytes, as wazero keeps them: rounded up, and measured by
// TestResidentIsWhatTheHostHolds.
const (
	residentSandbox = 64 << 10 // one without any of them: the lines of its output are most of it
	residentImport  = 64
	residentGlobal  = 192 // one may hold a reference to a function, which takes as much as an element
	residentElement = 96
	residentSegment = 64
	residentData    = 32
	residentTable   = 8
)

// bytes is what a sandbox keeps, with the two globals of the safepoints.
func (r resident) bytes() int64 {
	return int64(residentSandbox + 2*residentGlobal + r.imports*residentImport + r.globals*residentGlobal + r.elements*residentElement +
		r.segments*residentSegment + r.data*residentData + r.table*residentTable)
}

func (m *module) readTables() {
	d := decoder{data: m.sections[sectionTable]}
	if d.done() {
		return
	}
	for range d.count(maxTables, "tables") {
		d.valueType()
		flags := d.byte()
		if flags > 1 {
			panic(malformed("the size of a table is of the unknown kind %d", flags))
		}
		m.resident.table += uint64(d.u32())
		if flags&1 != 0 {
			d.u32()
		}
	}
	if total := m.resident.table; total > maxTable {
		panic(moduleErrorf(ReasonMemory, "its tables have %d elements, more than %d", total, maxTable))
	}
}

func (m *module) readGlobals() {
	d := decoder{data: m.sections[sectionGlobal]}
	if d.done() {
		return
	}
	m.globals = d.count(maxGlobals, "globals")
	for range m.globals {
		d.valueType()
		d.byte() // whether it can change
		m.expression(&d)
	}
	m.resident.globals = uint64(m.globals)
}

// readElements counts what tables are filled with (core specification 2.0, section 5.5.12).
func (m *module) readElements() {
	d := decoder{data: m.sections[sectionElement]}
	if d.done() {
		return
	}
	m.resident.segments = uint64(d.count(maxSegments, "element segments"))
	for range m.resident.segments {
		flags := d.u32()
		if flags > 7 {
			panic(malformed("an element segment is of the unknown kind %d", flags))
		}
		if flags&1 == 0 { // it is for a table, at an offset
			if flags&2 != 0 {
				d.u32()
			}
			m.expression(&d)
		}
		switch {
		case flags&3 == 0: // they are functions
		case flags&4 != 0:
			d.valueType()
		case d.byte() != 0:
			panic(malformed("the elements of a segment are of an unknown kind"))
		}
		n := d.count(maxElements, "elements of one segment")
		for range n {
			if flags&4 != 0 {
				m.expression(&d)
			} else {
				m.refer(d.u32())
			}
		}
		if m.resident.elements += uint64(n); m.resident.elements > maxElements {
			panic(tooMuch("its element segments have more than %d elements", maxElements))
		}
	}
}

func (m *module) readData() {
	if d := (decoder{data: m.sections[sectionData]}); !d.done() {
		m.resident.data = uint64(d.count(maxData, "data segments"))
	}
}

// refer refuses a reference to a function of the host: see safepoint.go.
func (m *module) refer(function uint32) {
	if function < m.imported {
		panic(moduleErrorf(ReasonImport, "it puts the imported function %d into a table or a global: put one there that calls it", function))
	}
}

// expression passes over a constant expression.
func (m *module) expression(d *decoder) {
	for range maxExpression {
		switch in := d.instruction(); in.op {
		case opEnd:
			return
		case opRefFunc:
			m.refer(in.index)
		}
	}
	panic(tooMuch("a constant expression has more than %d instructions", maxExpression))
}
