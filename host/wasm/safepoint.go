package wasm

// A compiled module is native code that nothing can interrupt: a busy loop would outlive its deadline, and keep the
// garbage collector of the whole host waiting. So the host rewrites a module before it compiles it: at the head of
// every loop, and where else code can go round, it counts down a global and every few thousand rounds passes a
// safepoint, which leaves native code for a moment and ends the call if the host has asked for that.
//
// wazero has an option for the same end (WithCloseOnContextDone), which leaves native code at every loop head and
// starts a goroutine per call. Go's compiler makes a loop of every function that calls another, so that option made a
// small call 2.6 times as slow; counting costs a few percent.

const (
	// exportStop is the global that the host sets to end what runs in a sandbox.
	exportStop = "countersign_host_stop"
	// roundsPerSafepoint bounds how long native code runs without a look at the outside: some ten microseconds.
	roundsPerSafepoint = 10000
	// bytesPerRound weighs bulk instructions, whose one round can move megabytes.
	bytesPerRound = 10 // as a shift: 1 KiB
)

// WebAssembly opcodes that are written or looked for (core specification 2.0, section 5.4).
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
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
	opI32LeS       = 0x4c
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
	}
	code := w.code()
	globals := extendVector(m.sections[sectionGlobal], w.global(roundsPerSafepoint))
	name := append(appendU32(nil, uint32(len(exportStop))), exportStop...)
	sections := map[byte][]byte{
		sectionType:     extendVector(m.sections[sectionType], []byte{0x60, 0, 0}),
		sectionFunction: extendVector(m.sections[sectionFunction], appendU32(nil, uint32(len(m.types)))),
		sectionGlobal:   extendVector(globals, w.global(0)),
		sectionExport:   extendVector(m.sections[sectionExport], appendU32(append(name, 3), w.stop)),
		sectionCode:     code,
	}
	binary = append(make([]byte, 0, len(code)*2), "\x00asm\x01\x00\x00\x00"...)
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
	return append(binary, m.customs...), nil
}

// weaver rewrites the functions of one module.
type weaver struct {
	*module
	fuel, stop uint32 // globals
	safepoint  uint32 // function
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
	out := appendU32(make([]byte, 0, len(d.data)*3/2), count+1)
	var body []byte
	for i := range count {
		body = w.body(body[:0], d.bytes(d.u32()), w.types[w.functions[i]])
		out = appendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	if !d.done() {
		panic(malformed("its code is longer than its functions"))
	}
	body = w.safepointBody()
	out = appendU32(out, uint32(len(body)))
	return append(out, body...)
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
	b = appendU32(append(b, opGlobalGet), w.stop)
	return append(b, opIf, blockEmpty, opUnreachable, opEnd, opEnd)
}

// round counts one round. It needs nothing of the operand stack and leaves nothing there.
func (w *weaver) round(dst []byte) []byte {
	dst = appendU32(append(dst, opGlobalGet), w.fuel)
	dst = append(dst, opI32Const, 1)
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
	dst = appendU32(append(dst, opGlobalGet), w.fuel)
	dst = append(dst, opI32Const, 0, opI32LeS, opIf, blockEmpty)
	dst = appendU32(append(dst, opCall), w.safepoint)
	return append(dst, opEnd)
}

// body rewrites a function. Every cycle of its code passes a loop head, or the entry of a function that calls.
func (w *weaver) body(dst, body []byte, sig signature) []byte {
	d := &decoder{data: body}
	locals := uint64(len(sig.params))
	groups := d.u32()
	groupsStart := d.pos
	for range groups {
		locals += uint64(d.u32())
		d.byte()
	}
	if locals > 1<<16 {
		panic(malformed("a function has %d variables", locals))
	}
	scan := scanBody(&decoder{data: body, pos: d.pos})
	if scan.bulk {
		dst = appendU32(dst, groups+1)
		dst = append(dst, body[groupsStart:d.pos]...)
		dst = append(dst, 1, typeI32)
	} else {
		dst = append(dst, body[:d.pos]...)
	}
	if scan.calls && !scan.loopFirst {
		dst = w.round(dst)
	}
	for copied := d.pos; ; {
		start := d.pos
		in := d.instruction()
		if in.bulk {
			dst = append(dst, body[copied:start]...)
			dst = w.bulk(dst, uint32(locals))
			copied = start
		}
		if in.op == opLoop {
			dst = append(dst, body[copied:d.pos]...)
			dst = w.round(dst)
			copied = d.pos
		}
		if d.done() {
			return append(dst, body[copied:]...)
		}
	}
}

// bodyScan is what has to be known of a function before it is rewritten.
type bodyScan struct {
	calls     bool // it calls
	bulk      bool // it has bulk instructions
	loopFirst bool // it passes the head of a loop before it can branch or call
}

func scanBody(d *decoder) (s bodyScan) {
	straight := true // nothing but straight code so far
	depth := 1
	for depth > 0 {
		in := d.instruction()
		switch in.op {
		case opBlock:
			depth++
		case opLoop:
			depth++
			s.loopFirst = s.loopFirst || straight
		case opIf:
			depth++
			straight = false
		case opEnd:
			depth--
		case opCall, opCallIndirect:
			s.calls, straight = true, false
		case opBr, opBrIf, opBrTable, opReturn:
			straight = false
		}
		s.bulk = s.bulk || in.bulk
	}
	if !d.done() {
		panic(malformed("a function goes on after its end"))
	}
	return s
}
