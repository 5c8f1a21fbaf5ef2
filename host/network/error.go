package network

import "fmt"

// Reason classifies an Error.
type Reason string

// The reasons of an Error.
const (
	Undeclared  Reason = "undeclared"  // the function has no such tag
	Unbound     Reason = "unbound"     // the environment binds it to nothing
	Limited     Reason = "limited"     // a limit of the tag is reached
	Unreachable Reason = "unreachable" // no address could be found, or none of them answers
	Refused     Reason = "refused"     // nothing listens there
	Unverified  Reason = "unverified"  // the host encrypts, and the server is not who it should be
	TimedOut    Reason = "timed out"
	Canceled    Reason = "canceled" // who dialed does not wait any more, or the function ends
)

// Error says why a tag could not be used.
type Error struct {
	Tag    string
	Reason Reason
	Err    error // or nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("network tag %q: %s", e.Tag, e.Reason)
	}
	return fmt.Sprintf("network tag %q: %s: %v", e.Tag, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
