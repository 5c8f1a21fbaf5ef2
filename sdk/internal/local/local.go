// Package local holds what tests put in place of the platform: stubs of functions and the identity of a caller. It is
// apart from package sdk so that sdktest can reach it and function authors can't. It also holds what package sdk and
// packages beside it tell each other.
package local

import (
	"context"
	"reflect"
	"sync"
)

// Describe returns the interface of a function with these types. Package sdk sets it.
var Describe func(function string, request, reply reflect.Type) ([]byte, error)

// Handler answers a call: JSON in, JSON out.
type Handler func(ctx context.Context, request []byte) ([]byte, error)

var stubs sync.Map // function name → Handler

// Stub returns the stub of a function, or nil.
func Stub(function string) Handler {
	if h, ok := stubs.Load(function); ok {
		return h.(Handler)
	}
	return nil
}

// Replace sets the stub of a function and returns a func that puts back what was there.
func Replace(function string, h Handler) (restore func()) {
	old, had := stubs.Swap(function, h)
	return func() {
		if had {
			stubs.Store(function, old)
		} else {
			stubs.Delete(function)
		}
	}
}

type callerKey struct{}

// WithCaller returns a context whose call comes from id.
func WithCaller(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, callerKey{}, id)
}

// Caller returns what WithCaller set, or "".
func Caller(ctx context.Context) string {
	id, _ := ctx.Value(callerKey{}).(string)
	return id
}

// Settle, if it is set, lets what earlier calls left behind run until it waits. Package sdk calls it before each call.
var Settle func()

type endpoint struct{ network, address string }

var endpoints sync.Map // network tag → endpoint

// Network returns where a test has a network tag lead.
func Network(tag string) (network, address string, ok bool) {
	e, ok := endpoints.Load(tag)
	if !ok {
		return "", "", false
	}
	return e.(endpoint).network, e.(endpoint).address, true
}

// Bind has a network tag lead to an address and returns a func that puts back what was there.
func Bind(tag, network, address string) (restore func()) {
	old, had := endpoints.Swap(tag, endpoint{network, address})
	return func() {
		if had {
			endpoints.Store(tag, old)
		} else {
			endpoints.Delete(tag)
		}
	}
}
