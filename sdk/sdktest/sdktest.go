// Package sdktest lets the unit tests of a function run without a platform: it puts stubs in the place of the
// functions that it calls, says where its network tags lead, and sets who called.
package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"countersign.internal/sdk"
	"countersign.internal/sdk/internal/local"
)

// Stub answers calls of f with h until the test ends. Requests and replies pass through JSON, as they do for real. An
// *sdk.Error that h returns reaches the caller as it is, any other error with code "failed". Stubs hold for the whole
// process: tests that stub the same function must not be parallel.
func Stub[Req, Reply any](t testing.TB, f *sdk.Function[Req, Reply], h func(context.Context, Req) (Reply, error)) {
	t.Helper()
	t.Cleanup(local.Replace(f.Name(), func(ctx context.Context, request []byte) ([]byte, error) {
		var req Req
		if err := json.Unmarshal(request, &req); err != nil {
			return nil, &sdk.Error{Code: sdk.CodeBadRequest, Function: f.Name(),
				Message: fmt.Sprintf("the request does not fit the request type: %v", err)}
		}
		reply, err := h(ctx, req)
		if err != nil {
			return nil, err
		}
		return json.Marshal(reply)
	}))
}

// Network has a network tag lead to an address until the test ends. Network and address are those of net.Dial, such as "tcp"
// and the address of an httptest.Server. It holds for the whole process, as stubs do.
func Network(t testing.TB, tag, network, address string) {
	t.Helper()
	t.Cleanup(local.Bind(tag, network, address))
}

// Describe returns the interface of a function with these types: the part of its interface document that callers see. A
// test that compares it with a file notices when a change of a type reaches the callers.
func Describe(function string, request, reply reflect.Type) ([]byte, error) {
	return local.Describe(function, request, reply)
}

// WithCaller returns a context for which sdk.Caller returns the SPIFFE ID id.
func WithCaller(ctx context.Context, id string) context.Context { return local.WithCaller(ctx, id) }
