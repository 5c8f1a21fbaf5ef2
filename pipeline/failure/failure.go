// Package failure holds the ways in which steps of a deploy fail at more than one server.
//
// It owns that a server that could not be asked is another thing than one that refused. It must not know the servers:
// what only one of them can say is an error of that server's package.
package failure

import (
	"errors"
	"fmt"
)

// UnreachableError says that a server could not be asked; nothing is known about what it would have said.
type UnreachableError struct {
	Server string // "Nomad at http://…"
	Err    error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("could not reach %s: %v (does it run, and is its address in the environment file right?)",
		e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable tells failures to reach a server from refusals.
func (e *UnreachableError) Unreachable() bool { return true }

// ConflictError says that somebody else is changing the same thing. Nothing was changed by this deploy.
type ConflictError struct {
	What   string // what is being changed by somebody else
	Holder string // who it is, or ""
	Advice string
}

// Error implements error.
func (e *ConflictError) Error() string {
	s := e.What
	if e.Holder != "" {
		s += " by " + e.Holder
	}
	return s + "; " + e.Advice
}

// IsUnreachable tells whether err says that a server could not be reached.
func IsUnreachable(err error) bool {
	var u interface{ Unreachable() bool }
	return errors.As(err, &u) && u.Unreachable()
}
