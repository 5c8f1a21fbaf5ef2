// Package countersign holds the vocabulary that every other package shares: what a call is and how it can fail.
//
// It owns names and nothing else. It must not know HCL, Vault, Consul, Nomad, HTTP or WebAssembly, and it imports
// only the standard library.
package countersign

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says why a call failed, in one word that is the same in Go, in HTTP problem documents, in metrics and in the
// documentation (docs/errors.md).
type Code string

// The codes of a failed call. Refusals (nothing was executed) come first.
const (
	CodeBadRequest        Code = "bad_request"        // the call is malformed
	CodeUnknownFunction   Code = "unknown_function"   // no such function, or none that the caller may see
	CodeNotPermitted      Code = "not_permitted"      // the caller's spec does not list the callee, or it has no ingress
	CodeInterfaceMismatch Code = "interface_mismatch" // caller and callee were built with interfaces that do not fit
	CodeUnverified        Code = "unverified"         // a signature, certificate, digest or attestation does not verify
	CodeExpired           Code = "expired"            // outside the signature's or the certificate's time
	CodeReplayed          Code = "replayed"           // the call's nonce was seen before
	CodeTooLarge          Code = "too_large"          // request or reply over its limit
	CodeLoop              Code = "loop"               // hop limit reached
	CodeUnavailable       Code = "unavailable"        // no healthy instance could be reached
	CodeOverloaded        Code = "overloaded"         // no free slot before the deadline
	CodeDeadline          Code = "deadline_exceeded"  // the deadline passed; the function was stopped
	CodeCanceled          Code = "canceled"           // the caller went away
	CodePanicked          Code = "panicked"           // the function panicked
	CodeOutOfMemory       Code = "out_of_memory"      // the function needed more memory than its spec gives
	CodeExited            Code = "exited"             // the function ended its own instance
	CodeBroken            Code = "broken"             // the function broke the calling convention
	CodeFailed            Code = "failed"             // the function itself returned an error
	CodeInternal          Code = "internal"           // a fault of the platform
)

// CallError is the error of a call that was refused or failed.
type CallError struct {
	Code     Code
	Function string // the callee's name
	Reason   string // for people; holds no secret and no request data
	Err      error  // the cause, or nil; never sent to another party
}

// Error implements error.
func (e *CallError) Error() string {
	return fmt.Sprintf("call of function %q: %s: %s", e.Function, e.Code, e.Reason)
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// Errorf makes a CallError. An error among args that is wrapped with %w becomes the cause.
func Errorf(code Code, function, format string, args ...any) *CallError {
	err := fmt.Errorf(format, args...)
	return &CallError{Code: code, Function: function, Reason: err.Error(), Err: errors.Unwrap(err)}
}

// CodeOf returns the code of err: that of the first CallError in its chain, CodeDeadline or CodeCanceled for the
// errors of a context, otherwise CodeInternal. CodeOf(nil) is "".
func CodeOf(err error) Code {
	var ce *CallError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &ce):
		return ce.Code
	case errors.Is(err, context.DeadlineExceeded):
		return CodeDeadline
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	}
	return CodeInternal
}

// Invocation is one verified call, as a runtime hands it to a function. The deadline travels in the context.
type Invocation struct {
	ID          string    // of this hop, unique
	Caller      string    // the caller's SPIFFE ID, verified
	Function    string    // the callee's name
	Traceparent string    // W3C trace context, or ""
	Hops        int       // how many calls led to this one; 0 from outside
	Deadline    time.Time // when the caller stops waiting
	Body        []byte    // the request: JSON
}

// Caller makes calls on behalf of one function instance. parent is the invocation during which the function makes
// the call: deadline, trace and hop count derive from it.
type Caller interface {
	// Call runs callee with a JSON request and returns its JSON reply, or a *CallError.
	Call(ctx context.Context, parent *Invocation, callee string, request []byte) ([]byte, error)
}

// Hop is a call that a node made and verified while answering another, for people who ask what was verified. It travels
// as JSON in a signed field of a return (docs/call-format.md).
type Hop struct {
	Call       string `json:"call"`       // the call's ID
	Caller     string `json:"caller"`     // SPIFFE ID
	Callee     string `json:"callee"`     // SPIFFE ID
	Allocation string `json:"allocation"` // that answered
	Algorithm  string `json:"algorithm"`  // of the signatures, by its name in RFC 9421
	Key        string `json:"key"`        // session ID or certificate thumbprint
	Verified   string `json:"verified"`   // what was: "call and return", or less
	Code       Code   `json:"code,omitempty"`
	Micros     int64  `json:"micros"` // from signing the call to the verified return
}

// IsUnverified tells whether err says that something was checked and does not verify, as opposed to could not be reached:
// whether an error in its chain has a method Unverified() bool that returns true.
func IsUnverified(err error) bool {
	var u interface{ Unverified() bool }
	return errors.As(err, &u) && u.Unverified()
}
