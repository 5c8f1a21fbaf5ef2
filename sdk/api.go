package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

// Function is a function's name together with the types of its request and reply, both carried as JSON.
type Function[Req, Reply any] struct {
	name string
}

// Define declares a function that exists under name on the platform. It belongs in a package variable of the
// function's API package. Names are DNS labels: lower-case letters, digits and '-', starting with a letter, at most
// 63 characters. A name that is not one, or that another type of call already has in this program, panics, since no
// program could go on from there; so does a type that JSON can't carry.
func Define[Req, Reply any](name string) *Function[Req, Reply] {
	if !validName(name) {
		panic(fmt.Sprintf("sdk: Define(%q): a function's name is a DNS label: lower-case letters, digits and '-', "+
			"starting with a letter, at most 63 characters", name))
	}
	define(name, reflect.TypeFor[Req](), reflect.TypeFor[Reply]())
	return &Function[Req, Reply]{name: name}
}

// Name returns the function's name.
func (f *Function[Req, Reply]) Name() string { return f.name }

// Call runs the function with req and returns its reply, or an error that is an *Error. Inside a function, ctx must
// be the context that the handler was given, or one made from it: deadline, trace and identity come from there.
func (f *Function[Req, Reply]) Call(ctx context.Context, req Req) (Reply, error) {
	var reply Reply
	request, err := encode(nil, req)
	if err != nil {
		return reply, errorf(CodeBadRequest, f.name, "can't encode the request: %v", err)
	}
	if ctx.Err() != nil {
		return reply, contextError(ctx, f.name)
	}
	body, failure := dispatch(ctx, f.name, request)
	if failure != nil {
		return reply, failure
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return reply, errorf(CodeBroken, f.name, "the reply does not fit the reply type: %v", err)
	}
	return reply, nil
}

// Handle binds h to f. It is called in init, once per program: an artifact is one function. h runs once per call. In
// WebAssembly one instance runs one call at a time; a native function runs several at once. An error that h returns
// reaches the caller with code "failed" and its text; a panic with code "panicked".
func Handle[Req, Reply any](f *Function[Req, Reply], h func(context.Context, Req) (Reply, error)) {
	register(f.name, func(ctx context.Context, request, reply []byte) ([]byte, *Error) {
		var req Req
		if err := json.Unmarshal(request, &req); err != nil {
			return reply, errorf(CodeBadRequest, f.name, "the request does not fit the request type: %v", err)
		}
		value, err := h(ctx, req)
		if err != nil {
			if invocationOf(ctx) != nil {
				explainDenied(f.name, err)
			}
			return reply, errorf(CodeFailed, f.name, "%s", err.Error())
		}
		full, err := encode(reply, value)
		if err != nil {
			return reply, errorf(CodeFailed, f.name, "can't encode the reply: %v", err)
		}
		return full, nil
	})
}

// Main serves the function's calls in a native program, until the host closes the connection. In WebAssembly it is
// never reached: build with -buildmode=c-shared. Started by hand it says how a function is run, and exits with 2.
func Main() { serveMain() }

// Caller returns the SPIFFE ID of who made the call that ctx belongs to, verified by the platform; "" outside one.
func Caller(ctx context.Context) string {
	if in := invocationOf(ctx); in != nil {
		return in.caller
	}
	return localCaller(ctx)
}

// CallID returns the ID of the call that ctx belongs to, as the platform's logs name it; "" outside one.
func CallID(ctx context.Context) string {
	if in := invocationOf(ctx); in != nil {
		return in.id
	}
	return ""
}

// handler decodes a request, runs the function, and appends the encoded reply to the second slice.
type handler func(ctx context.Context, request, reply []byte) ([]byte, *Error)

// encode appends v as JSON to dst. Unlike json.Marshal it leaves <, > and & alone: no browser interprets a call.
func encode(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	buf.Truncate(buf.Len() - 1) // Encode ends with a newline
	return buf.Bytes(), nil
}

// validName is the rule of countersign.ValidName; testdata/names.json holds the cases for both.
func validName(name string) bool {
	if len(name) == 0 || len(name) > 63 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name[len(name)-1] != '-'
}
