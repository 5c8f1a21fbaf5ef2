package wasm

// A compiled module is native code that nothing can interrupt: a busy loop would outlive its deadline, and keep the
// garbage collector of the whole host waiting. So the host rewrites a module before it compiles it: at the head of
// every loop, and where else code can go round, it counts down a global and every few thousand rounds passes a
// safepoint, which leaves native code for a moment and ends the call if the host has asked for that.
//
// wazero has an option for the same end (WithCloseOnContextDone), which leaves native code at every loop head and
// starts a goroutine per call. Go's compiler makes a loop of every function that calls another, so that option made a
// small call 2.6 times as slow; counting costs a few percent.
//
// One call of the host can take as long as many thousand rounds: it works on as much of the function's memory as it is
// told to. So after each such call it is looked whether to end, and the host's functions can be called by nothing else:
// a module that puts one into a table is refused.
//
// The compiler's time grows faster than the number of blocks that a function falls into, so that counting must not add
// many: a loop that nothing goes back to becomes a block, and a count adds two.

const (
	// exportStop is the global that the host sets to end what runs in a sandbox.
	exportStop = "countersign_host_stop"
	// roundsPerSafepoint bounds how long native code runs without a look at the outside: some ten microseconds.
	roundsPerSafepoint = 10000
	// bytesPerRound weighs bulk instructions, whose one round can move megabytes.
	bytesPerRound = 10 // as a shift: 1 KiB
	// codePerRound weighs long code: each so many bytes count as one round more.
	codePerRound = 256
)

// WebAssembly opcodes that are written or looked for (core specification 2.0, section 5.4).
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI32GtS       = 0x4a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	blockEmpty     = 0x40
)

// instrument returns the module with safepoints, ready to be compiled.
func (m *module) instrument() (binary []byte, err error) {
	defer recoverModuleError(&err)
	w := weaver{
		module:    m,
		fuel:      m.globals,
		stop:      m.globals + 1,
		safepoint: m.imported + uint32(len(m.functions)),
		halt:      m.imported + uint32(len(m.functions)) + 1,
	}
	code := w.code()
	globals := extendVector(m.sections[sectionGlobal], w.global(roundsPerSafepoint))
	name := append(appendU32(nil, uint32(len(exportStop))), exportStop...)
	ours := appendU32(nil, uint32(len(m.types))) // the type of what is added
	sections := map[byte][]byte{
		sectionType:     extendVector(m.sections[sectionType], []byte{0x60, 0, 0}),
		sectionFunction: extendVector(extendVector(m.sections[sectionFunction], ours), ours),
		sectionGlobal:   extendVector(globals, w.global(0)),
		sectionExport:   extendVector(m.sections[sectionExport], appendU32(append(name, 3), w.stop)),
		sectionCode:     code,
	}
	size := 0
	for _, payload := range m.sections {
		size += len(payload)
	}
	binary = append(make([]byte, 0, size+len(code)), "\x00asm\x01\x00\x00\x00"...)
	for _, id := range sectionOrder {
		payload, ok := sections[id]
		if !ok {
			payload, ok = m.sections[id]
		}
		if ok {
			binary = append(binary, id)
			binary = appendU32(binary, uint32(len(payload)))
			binary = append(binary, payload...)
		}
	}
	return binary, nil
}

// weaver rewrites the functions of one module.
type weaver struct {
	*module
	fuel, stop uint32 // globals
	safepoint  uint32 // function
	halt       uint32 // function
	variables  uint64 // of all functions; see maxVariables
	work       uint64 // see maxWork
}

// global is the encoding of a mutable i32 global with an initial value.
func (w *weaver) global(initial int32) []byte {
	return append(appendI32([]byte{typeI32, 1, opI32Const}, initial), opEnd)
}

func (w *weaver) code() []byte {
	d := decoder{data: orEmpty(w.sections[sectionCode])}
	count := d.u32()
	if uint64(count) != uint64(len(w.functions)) {
		panic(malformed("it declares %d functions and defines %d", len(w.functions), count))
	}
	out := appendU32(make([]byte, 0, len(d.data)*3/2), count+2)
	var body []byte
	for i := range count {
		body = w.body(body[:0], d.bytes(d.u32()), w.types[w.functions[i]])
		out = appendU32(out, uint32(len(body)))
		if out = append(out, body...); len(out) > maxCode {
			panic(tooMuch("with what counts its rounds its code has more than %d bytes", maxCode))
		}
	}
	if !d.done() {
		panic(malformed("its code is longer than its functions"))
	}
	for _, body := range [][]byte{w.safepointBody(), w.haltBody()} {
		out = appendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return out
}

// orEmpty is an empty vector where there is no section.
func orEmpty(section []byte) []byte {
	if section == nil {
		return []byte{0}
	}
	return section
}

// safepointBody leaves native code by growing memory by nothing, then looks whether it is to stop.
func (w *weaver) safepointBody() []byte {
	b := []byte{0} // no locals
	b = appendI32(append(b, opI32Const), roundsPerSafepoint)
	b = appendU32(append(b, opGlobalSet), w.fuel)
	b = append(b, opI32Const, 0, opMemoryGrow, 0, opDrop)
	return append(b, w.haltBody()[1:]...)
}

// haltBody looks whether it is to stop.
func (w *weaver) haltBody() []byte {
	b := appendU32([]byte{0, opGlobalGet}, w.stop) // no locals
	return append(b, opIf, blockEmpty, opUnreachable, opEnd, opEnd)
}

// round counts one round over size bytes of code. It needs nothing of the operand stack and leaves nothing there.
func (w *weaver) round(dst []byte, size int) []byte {
	dst = appendU32(append(dst, opGlobalGet), w.fuel)
	dst = appendI32(append(dst, opI32Const), int32(1+size/codePerRound))
	return w.spend(dst)
}

// bulk counts the rounds of a bulk instruction whose length is on top of the operand stack, and leaves it there.
func (w *weaver) bulk(dst []byte, local uint32) []byte {
	dst = appendU32(append(dst, opLocalTee), local)
	dst = appendU32(append(dst, opGlobalGet), w.fuel)
	dst = appendU32(append(dst, opLocalGet), local)
	dst = append(dst, opI32Const, bytesPerRound, opI32ShrU)
	return w.spend(dst)
}

// spend subtracts the top of the operand stack from what is under it, keeps the rest and passes the safepoint when
// nothing is left.
func (w *weaver) spend(dst []byte) []byte {
	dst = appendU32(append(dst, opI32Sub, opGlobalSet), w.fuel)
	dst = append(dst, opBlock, blockEmpty)
	dst = appendU32(append(dst, opGlobalGet), w.fuel)
	dst = append(dst, opI32Const, 0, opI32GtS, opBrIf, 0)
	dst = appendU32(append(dst, opCall), w.safepoint)
	return append(dst, opEnd)
}

// body rewrites a function. Every cycle of its code passes a loop head, or the entry of a function that calls; and so
// does long code, which may be called in a cycle.
func (w *weaver) body(dst, body []byte, sig signature) []byte {
	if len(body) > maxBody {
		panic(tooMuch("the code of a function has %d bytes, more than %d: split it", len(body), maxBody))
	}
	d := &decoder{data: body}
	variables := uint64(len(sig.params))
	groups := d.u32()
	groupsStart := d.pos
	for range groups {
		variables += uint64(d.u32())
		d.valueType()
	}
	if variables > maxLocals {
		panic(tooMuch("a function has %d variables, more than %d", variables, maxLocals))
	}
	if w.variables += variables; w.variables > maxVariables {
		panic(tooMuch("its functions have more than %d variables together", maxVariables))
	}
	scan := w.scan(&decoder{data: body, pos: d.pos}, sig)
	scan.weigh(&w.work, variables)
	if scan.bulk {
		dst = appendU32(dst, groups+1)
		dst = append(dst, body[groupsStart:d.pos]...)
		dst = append(dst, 1, typeI32)
	} else {
		dst = append(dst, body[:d.pos]...)
	}
	if (scan.calls || len(body) > codePerRound) && !scan.loopFirst {
		dst = w.round(dst, len(body))
	}
	return w.weave(dst, d, &scan, uint32(variables))
}

// weave copies the code of a function, which d stands before, and adds what counts. length is the local that keeps the
// operand of bulk instructions.
func (w *weaver) weave(dst []byte, d *decoder, scan *bodyScan, length uint32) []byte {
	loops := scan.loops
	for copied := d.pos; ; {
		start := d.pos
		in := d.instruction()
		switch {
		case in.bulk:
			dst = append(dst, d.data[copied:start]...)
			dst = w.bulk(dst, length)
			copied = start
		case in.op == opLoop && !loops[0].again:
			dst = append(append(dst, d.data[copied:start]...), opBlock)
			copied = start + 1
			loops = loops[1:]
		case in.op == opLoop:
			dst = append(dst, d.data[copied:d.pos]...)
			size := loops[0].size
			if loops[0].straight {
				size = len(d.data) // it stands for the entry, too
			}
			dst = w.round(dst, size)
			copied = d.pos
			loops = loops[1:]
		case in.op == opCall && in.index < w.imported:
			dst = append(dst, d.data[copied:d.pos]...)
			dst = appendU32(append(dst, opCall), w.halt)
			copied = d.pos
		}
		if d.done() {
			return append(dst, d.data[copied:]...)
		}
	}
}
