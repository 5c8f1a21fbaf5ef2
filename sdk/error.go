package sdk

import (
	"context"
	"fmt"
)

// Code says why a call failed. docs/errors.md explains each.
type Code string

// The codes that a caller can meet.
const (
	CodeBadRequest        Code = "bad_request"
	CodeUnknownFunction   Code = "unknown_function"
	CodeNotPermitted      Code = "not_permitted"
	CodeInterfaceMismatch Code = "interface_mismatch"
	CodeUnverified        Code = "unverified"
	CodeExpired           Code = "expired"
	CodeReplayed          Code = "replayed"
	CodeTooLarge          Code = "too_large"
	CodeLoop              Code = "loop"
	CodeUnavailable       Code = "unavailable"
	CodeOverloaded        Code = "overloaded"
	CodeDeadline          Code = "deadline_exceeded"
	CodeCanceled          Code = "canceled"
	CodePanicked          Code = "panicked"
	CodeOutOfMemory       Code = "out_of_memory"
	CodeExited            Code = "exited"
	CodeBroken            Code = "broken"
	CodeFailed            Code = "failed"
	CodeInternal          Code = "internal"
)

// Error is the error of a call. It matches, with errors.Is, every *Error whose non-empty fields are equal to its own,
// so that errors.Is(err, &sdk.Error{Code: sdk.CodeDeadline}) asks for a code; it also matches
// context.DeadlineExceeded and context.Canceled where its code says the same.
type Error struct {
	Code     Code
	Function string // the callee
	Message  string // for people
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("call of function %q: %s: %s", e.Function, e.Code, e.Message)
}

// Is implements the matching that the type's comment describes.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Code == CodeDeadline
	case context.Canceled:
		return e.Code == CodeCanceled
	}
	want, ok := target.(*Error)
	return ok &&
		(want.Code == "" || want.Code == e.Code) &&
		(want.Function == "" || want.Function == e.Function) &&
		(want.Message == "" || want.Message == e.Message)
}

func errorf(code Code, function, format string, args ...any) *Error {
	return &Error{Code: code, Function: function, Message: fmt.Sprintf(format, args...)}
}
