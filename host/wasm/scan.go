package wasm

// bodyScan is what has to be known of a function before it is rewritten.
type bodyScan struct {
	calls     bool   // it calls
	bulk      bool   // it has bulk instructions
	loopFirst bool   // it passes the head of a loop before it can branch or call
	loops     []loop // in the order of their heads

	blocks uint64 // straight pieces of code, after it was rewritten
	ways   uint64 // from one of them to another
	values uint64 // operands that branches pass on
}

// loop is one loop of a function. Where nothing branches to its head, it is none: a block does the same.
type loop struct {
	again    bool // something branches to its head
	straight bool // nothing but straight code is before it
	size     int  // bytes from its head to its end
}

// label is what a branch can go to.
type label struct {
	loop  int // index of the loop, or -1
	start int
	arity uint64 // operands that a branch passes on
}

// scanner walks over one function.
type scanner struct {
	bodyScan
	*decoder
	module *module
	labels []label
	whole  bool // nothing but straight code so far
}

// scan reads the code of a function of type sig.
func (m *module) scan(d *decoder, sig signature) bodyScan {
	s := &scanner{decoder: d, module: m, whole: true}
	s.blocks = 1
	s.labels = append(s.labels, label{loop: -1, arity: uint64(len(sig.results))})
	for len(s.labels) > 0 {
		start := s.pos
		s.step(start)
	}
	if !d.done() {
		panic(malformed("a function goes on after its end"))
	}
	for _, l := range s.loops {
		if l.again {
			s.part(2, 4) // the safepoint
			s.loopFirst = s.loopFirst || l.straight
		}
	}
	return s.bodyScan
}

// part counts blocks and the ways that lead to them.
func (s *scanner) part(blocks, ways uint64) { s.blocks, s.ways = s.blocks+blocks, s.ways+ways }

func (s *scanner) step(start int) {
	in := s.instruction()
	s.bulk = s.bulk || in.bulk
	switch in.op {
	case opBlock, opIf, opLoop:
		s.open(in.op, start)
	case opElse:
		s.part(1, 1)
	case opEnd:
		last := s.labels[len(s.labels)-1]
		s.labels = s.labels[:len(s.labels)-1]
		if last.loop >= 0 {
			s.loops[last.loop].size = s.pos - last.start
		}
		s.part(1, 1)
	case opCall, opCallIndirect:
		s.calls, s.whole = true, false
	case opBr, opBrIf, opBrTable:
		s.branch(in.op, start)
	case opReturn:
		s.part(1, 1)
		s.whole = false
	case opRefFunc:
		panic(malformed("the instruction ref.func is not one that functions may use: each takes memory of the host"))
	}
	if s.bulk && in.bulk {
		s.part(2, 4) // the safepoint
	}
}

// open begins a block, a loop or one side of a condition.
func (s *scanner) open(op byte, start int) {
	params, results := s.module.blockType(&decoder{data: s.data, pos: start + 1})
	l := label{loop: -1, start: start, arity: results}
	s.part(1, 1)
	switch op {
	case opLoop:
		l.loop, l.arity = len(s.loops), params
		s.loops = append(s.loops, loop{straight: s.whole})
	case opIf:
		s.part(1, 2)
		s.whole = false
	}
	s.labels = append(s.labels, l)
}

// branch counts where an instruction can branch to.
func (s *scanner) branch(op byte, start int) {
	d := &decoder{data: s.data, pos: start + 1}
	targets := uint64(1)
	if op == opBrTable {
		targets += uint64(d.count(maxTargets, "targets of one br_table"))
	}
	for range targets {
		l := s.label(d.u32())
		s.values += l.arity
		if l.loop >= 0 {
			s.loops[l.loop].again = true
		}
	}
	if op == opBrIf {
		targets++
	}
	s.part(targets, targets)
	s.whole = false
}

func (s *scanner) label(depth uint32) *label {
	if uint64(depth) >= uint64(len(s.labels)) {
		panic(malformed("a branch leads out of its function"))
	}
	return &s.labels[len(s.labels)-1-int(depth)]
}

// blockType reads how many operands a block takes and leaves.
func (m *module) blockType(d *decoder) (params, results uint64) {
	switch t := d.data[d.pos]; {
	case t == blockEmpty:
		return 0, 0
	case t&0xc0 == 0x40: // a value type: a negative number of one byte
		return 0, 1
	}
	sig := m.typeAt(d.u32())
	return uint64(len(sig.params)), uint64(len(sig.results))
}
