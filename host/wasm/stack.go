package wasm

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

// Compiled code runs on a stack of its own, which wazero takes from the host's heap and doubles when it is used up, to
// more than 100 MB, without asking anybody. So the host gives each sandbox a stack of a fixed size, which is part of the
// memory that the function's spec gives it. There is no option for that: the fields of wazero's call engine are set, as
// they are in the one version that go.mod names. Where they are not there, or not of these types, nothing is run.
const (
	// stackCeiling is the length from which on wazero does not let a stack grow, in bytes: callStackCeiling in its
	// internal/engine/wazevo/call_engine.go. A stack that claims to be longer overflows where its bottom is said to be.
	stackCeiling = 50_000_000
	// stackSpace is the address space of a stack, longer than that and a multiple of all page sizes.
	stackSpace = 48 << 20
	// stackSlack is how many bytes below the bottom may be written: the code that leaves compiled code for the host saves
	// a few registers before it has looked at the bottom.
	stackSlack = 16 << 10

	_ = uint(stackSpace - stackCeiling) // does not compile if it is shorter
)

// callStack is the stack that the compiled code of one sandbox runs on: address space, of which the top is accessible.
type callStack struct {
	space []byte
	size  int // bytes that are accessible, stackSlack included
}

// stackSize is how many bytes of its function's memory a sandbox has for its call stack: a Go program of WebAssembly nests
// some thousands of calls in the least.
func stackSize(memory int64) int64 {
	return min(max(memory/64, 256<<10), 1<<20) / pageSize * pageSize
}

// newCallStack maps a stack of size bytes, of which code can use all but stackSlack.
func newCallStack(size int64) (*callStack, error) {
	space, err := unix.Mmap(-1, 0, stackSpace, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserving address space for a call stack: %w", err)
	}
	c := &callStack{space: space, size: int(size)}
	if err := unix.Mprotect(space[len(space)-c.size:], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		c.free()
		return nil, fmt.Errorf("mapping a call stack of %d bytes: %w", size, err)
	}
	return c, nil
}

// free unmaps the stack. No function that was put on it may be called again.
func (c *callStack) free() {
	if c.space == nil {
		return
	}
	// Unmapping what was mapped as a whole can't fail; if it did, address space would be lost and nothing else.
	_ = unix.Munmap(c.space)
	c.space = nil
}

// carry makes a compiled function, or none, run on the stack. Functions may share a stack if no two run at once.
func (c *callStack) carry(f api.Function) error {
	stack, top, bottom, err := stackFields(f)
	if err != nil {
		return err
	}
	last := uintptr(unsafe.Pointer(&c.space[len(c.space)-1]))
	*stack = c.space
	*top = last &^ 15
	*bottom = &c.space[len(c.space)-c.size+stackSlack]
	return nil
}

// stackFields finds the fields of wazero's call engine that say where its stack is.
func stackFields(f any) (stack *[]byte, top *uintptr, bottom **byte, err error) {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, nil, nil, fmt.Errorf("this version of wazero keeps call stacks in an unknown way: a function is a %T", f)
	}
	engine := v.Elem()
	context := engine.FieldByName("execCtx")
	if context.Kind() != reflect.Struct {
		return nil, nil, nil, fmt.Errorf("this version of wazero keeps call stacks in an unknown way: %T has no execCtx", f)
	}
	fields := [...]struct {
		value reflect.Value
		want  reflect.Type
	}{
		{engine.FieldByName("stack"), reflect.TypeFor[[]byte]()},
		{engine.FieldByName("stackTop"), reflect.TypeFor[uintptr]()},
		{context.FieldByName("stackBottomPtr"), reflect.TypeFor[*byte]()},
	}
	for _, field := range fields {
		if !field.value.IsValid() || field.value.Type() != field.want {
			return nil, nil, nil, fmt.Errorf("this version of wazero keeps call stacks in an unknown way: %T has no field of type %v",
				f, field.want)
		}
	}
	return (*[]byte)(fields[0].value.Addr().UnsafePointer()), (*uintptr)(fields[1].value.Addr().UnsafePointer()),
		(**byte)(fields[2].value.Addr().UnsafePointer()), nil
}
