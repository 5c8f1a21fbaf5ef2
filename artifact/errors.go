package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// ErrNotFound says that a store does not have something. It is what errors.Is finds.
var ErrNotFound = errdef.ErrNotFound

// DigestError says that bytes are not the ones that were asked for: they were changed, truncated or mixed up.
type DigestError struct {
	What string // what was being read
	Want string // the digest that was asked for
	Err  error  // the difference
}

// Error implements error.
func (e *DigestError) Error() string {
	return fmt.Sprintf("%s is not %s: %v; push the artifact again from a trusted build", e.What, e.Want, e.Err)
}

// Unwrap returns the cause.
func (e *DigestError) Unwrap() error { return e.Err }

// Unverified marks the error as a verification failure.
func (e *DigestError) Unverified() bool { return true }

// LayoutError says that an artifact has the right digest and is not a function: a foreign or a hostile one.
type LayoutError struct {
	What   string // which artifact or file
	Reason string
}

// Error implements error.
func (e *LayoutError) Error() string {
	return fmt.Sprintf("%s is not a function's artifact: %s", e.What, e.Reason)
}

// Unverified marks the error as a verification failure.
func (e *LayoutError) Unverified() bool { return true }

// UnreachableError says that the registry gave no answer: trying again may help.
type UnreachableError struct {
	Op  string // what was being done
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: the registry could not be reached: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one of reaching a server.
func (e *UnreachableError) Unreachable() bool { return true }

// DeniedError says that the registry answered with a no.
type DeniedError struct {
	Op  string // what was being done
	Err error
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s: the registry denies it: log in with `docker login` or `oras login`; a node's logins are in "+
		"registry.logins of the driver's plugin block: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// isRefusal tells an answer that was not read, from one that did not come.
func isRefusal(err error) bool {
	var limit *LimitError
	var elsewhere *NotAllowedError
	return errors.As(err, &limit) || errors.As(err, &elsewhere)
}

// classify tells an answer that is missing from one that is a no, and both from all others. err is not nil.
func classify(op string, err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case errors.Is(err, context.Canceled) || isRefusal(err):
		return fmt.Errorf("%s: %w", op, err)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return &DeniedError{Op: op, Err: err}
	case errors.As(err, &answer):
		switch code := answer.StatusCode; {
		case code == http.StatusUnauthorized || code == http.StatusForbidden:
			return &DeniedError{Op: op, Err: err}
		case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
			return &UnreachableError{Op: op, Err: err}
		}
	case isNetwork(err):
		return &UnreachableError{Op: op, Err: err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// RecordError says that something has the right digest and is not a release record: a foreign or a hostile one.
type RecordError struct {
	What   string // which artifact
	Reason string
}

// Error implements error.
func (e *RecordError) Error() string {
	return fmt.Sprintf("%s is not a release record: %s", e.What, e.Reason)
}

// Unverified marks the error as a verification failure.
func (e *RecordError) Unverified() bool { return true }

// isNameUnknown tells whether a registry answered that it has no such repository.
func isNameUnknown(err error) bool {
	var answer *errcode.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
