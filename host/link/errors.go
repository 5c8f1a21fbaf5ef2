package link

import (
	"fmt"

	"countersign"
	"countersign/vaultsign/callsig"
)

// UnreachableError says that a call got no answer because its callee could not be reached, or went away meanwhile.
type UnreachableError struct {
	Target     Target
	Sent       bool // the call was sent, so it may have been executed
	Idempotent bool // by the callee's terms the call may be executed twice; false if they are not known
	Err        error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	what := "nothing was sent"
	if e.Sent {
		what = "the call may have been executed"
	}
	return fmt.Sprintf("call of %s at %s: %s: %v", ServerName(e.Target.Allocation, e.Target.Function.Name()),
		e.Target.Address, what, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// RefusedError is the answer of a callee's host that did not let the instance accept a call: nothing was executed. It
// is not signed, but came over the callee's connection.
type RefusedError struct {
	Code      countersign.Code
	Reason    string
	Interface string // the callee's interface digest, by its terms
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the callee's host refused: %s: %s", e.Code, e.Reason)
}

// frameError says that a peer sent what is not a frame of this protocol, or not here. It ends the connection.
type frameError struct{ Reason string }

// Error implements error.
func (e *frameError) Error() string { return "malformed frame: " + e.Reason }

func malformed(format string, args ...any) *frameError {
	return &frameError{Reason: fmt.Sprintf(format, args...)}
}

func refuse(reason callsig.Reason, format string, args ...any) *callsig.Error {
	return &callsig.Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
