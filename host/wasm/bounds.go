package wasm

// Bounds of a module, which are looked at before any of it is compiled, validated or kept. A function of Go with 30 MB
// stays far below each. What they keep out is what takes the compiler, or the host that reads its result, longer than
// the size of the module suggests.
const (
	maxModule     = 64 << 20 // bytes of a module
	maxTypes      = 10_000
	maxArity      = 1_000   // parameters of a type, and results
	maxArities    = 100_000 // parameters and results of all types
	maxImports    = 1_000
	maxImportName = 256 // bytes of a module's name, or of a function's, in an import
	maxFunctions  = 250_000
	maxTables     = 100
	maxTable      = 1 << 20 // elements of all tables
	maxGlobals    = 100_000
	maxExports    = 10_000
	maxSegments   = 10_000  // of elements
	maxElements   = 1 << 20 // of all segments
	maxData       = 100_000 // segments; Go's linker makes as many as that
	maxExpression = 4       // instructions of a constant expression; the specification knows one and its end

	maxCode      = 2 * maxModule // bytes of all code after it was rewritten
	maxVariables = 16 << 20      // of all functions: each is a byte in the host when the module is read

	maxBody    = 4 << 20 // bytes of one function's code
	maxLocals  = 50_000  // variables of one function, parameters included
	maxBlocks  = 60_000  // straight pieces that the code of one function falls into
	maxTargets = 65_520  // of one br_table

	// The compiler looks at each way between two blocks once per block that both lie behind, and at each variable once per
	// block in which it may be alive. maxWork bounds the first, over all functions of a module, and maxFlow the second for one
	// function, in which variables live longer than in most only if somebody means it. Either takes a minute or two at worst;
	// what takes longer ends with the process that compiles.
	maxWork = 50_000_000_000
	maxFlow = 100_000_000
)

// count reads the length of a vector that may have at most so many elements.
func (d *decoder) count(most uint32, what string) uint32 {
	n := d.u32()
	if n > most {
		panic(tooMuch("it has %d %s, more than %d", n, what, most))
	}
	return n
}

func tooMuch(format string, args ...any) *ModuleError {
	return moduleErrorf(ReasonTooLarge, format, args...)
}

// weigh adds how hard a function with so many variables is to compile to the work that its module makes.
func (s *bodyScan) weigh(work *uint64, variables uint64) {
	if s.blocks > maxBlocks {
		panic(tooMuch("a function falls into %d blocks, more than %d: split it", s.blocks, maxBlocks))
	}
	if flow := (s.blocks+s.ways)*variables + s.values; flow > maxFlow {
		panic(tooMuch("a function has %d variables in %d blocks, which takes too long to compile: split it", variables, s.blocks))
	}
	if *work += s.blocks * s.ways; *work > maxWork {
		panic(tooMuch("its functions branch too often to be compiled in reasonable time; the last looked at falls into %d blocks: "+
			"split it", s.blocks))
	}
}
