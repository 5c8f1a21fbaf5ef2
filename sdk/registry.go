package sdk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sync"

	"countersign.internal/sdk/internal/local"
)

type definition struct {
	name           string
	request, reply reflect.Type
}

// registry is filled by package initialisation; the lock is for tests that define functions while others run.
var registry = struct {
	sync.RWMutex
	definitions map[string]definition
	handlers    map[string]handler
}{definitions: map[string]definition{}, handlers: map[string]handler{}}

func define(name string, request, reply reflect.Type) {
	d := definition{name: name, request: request, reply: reply}
	if !onWasm { // an instance's start is on the way of a call, and the artifact was described when it was built
		if _, err := d.describe(); err != nil {
			panic(fmt.Sprintf("sdk: Define(%q): %v", name, err))
		}
	}
	registry.Lock()
	defer registry.Unlock()
	if old, ok := registry.definitions[name]; ok && old != d {
		panic(fmt.Sprintf("sdk: Define(%q): already defined with request %v and reply %v", name, old.request, old.reply))
	}
	registry.definitions[name] = d
}

func register(name string, h handler) {
	registry.Lock()
	defer registry.Unlock()
	if _, ok := registry.handlers[name]; ok {
		panic(fmt.Sprintf("sdk: Handle: function %q has a handler already", name))
	}
	if onWasm && len(registry.handlers) > 0 {
		panic(fmt.Sprintf("sdk: Handle: %q is the second function of this program; an artifact is one function", name))
	}
	registry.handlers[name] = h
}

// served returns the one function of this program.
func served() (string, handler, error) {
	registry.RLock()
	defer registry.RUnlock()
	if len(registry.handlers) == 0 {
		return "", nil, errors.New("no function: call sdk.Handle in an init function of the main package")
	}
	if len(registry.handlers) > 1 {
		return "", nil, errors.New("sdk.Handle was called for several functions; an artifact is one function")
	}
	for name, h := range registry.handlers {
		return name, h, nil
	}
	panic("unreachable")
}

// run calls h and turns a panic into an error. The stack goes to standard error, which is the function's log; the
// caller learns only the panic's value.
func run(ctx context.Context, name string, h handler, request, reply []byte) (out []byte, failure *Error) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(os.Stderr, "function %s panicked: %v\n%s", name, v, debug.Stack())
			out, failure = reply, errorf(CodePanicked, name, "%v", v)
		}
	}()
	return h(ctx, request, reply)
}

// localCall is a call where there is no platform: to a stub, or to a handler of this process.
func localCall(ctx context.Context, callee string, request []byte) ([]byte, *Error) {
	if stub := local.Stub(callee); stub != nil {
		reply, err := stub(ctx, request)
		if err == nil {
			return reply, nil
		}
		var own *Error
		if errors.As(err, &own) {
			return nil, own
		}
		return nil, errorf(CodeFailed, callee, "%s", err.Error())
	}
	registry.RLock()
	h := registry.handlers[callee]
	registry.RUnlock()
	if h == nil {
		return nil, errorf(CodeUnavailable, callee, "there is no platform here and no handler in this process; "+
			"in a test, set one with sdktest.Stub")
	}
	return run(ctx, callee, h, request, nil)
}

func localCaller(ctx context.Context) string { return local.Caller(ctx) }

func contextError(ctx context.Context, callee string) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errorf(CodeDeadline, callee, "the deadline passed before the call was made")
	}
	return errorf(CodeCanceled, callee, "the context was canceled before the call was made")
}
