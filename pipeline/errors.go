package pipeline

import (
	"errors"
	"fmt"
	"strings"

	nomad "github.com/hashicorp/nomad/api"
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

// ForeignEntryError refuses to change a configuration entry of Consul that somebody else wrote. Nothing was run.
type ForeignEntryError struct {
	Kind, Name string // such as service-splitter, quote
	Reason     string // why it is in the way, and what to do
}

// Error implements error.
func (e *ForeignEntryError) Error() string {
	return fmt.Sprintf("Consul has a %s %q that is not ours, so it is not changed: %s", e.Kind, e.Name, e.Reason)
}

// PlacementError says that no node of the cluster can take an allocation.
type PlacementError struct {
	Function string
	Reasons  []string
}

// Error implements error.
func (e *PlacementError) Error() string {
	return fmt.Sprintf("no node can take function %q: %s", e.Function, strings.Join(e.Reasons, "; "))
}

// UnhealthyError says that a deployment ended without becoming healthy, or took too long.
type UnhealthyError struct {
	Function    string
	Deployment  string // Nomad's deployment ID, or ""
	Status      string // what Nomad says about the deployment
	Allocations []AllocationFailure
}

// AllocationFailure is an allocation that is not healthy, with what happened to it.
type AllocationFailure struct {
	ID     string
	Node   string
	Status string
	Events []string // task events, oldest first
}

// Error implements error. The task events are part of it: they hold the reason of a refused start.
func (e *UnhealthyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "function %q did not become healthy: %s", e.Function, e.Status)
	for _, a := range e.Allocations {
		fmt.Fprintf(&b, "\n  allocation %s on %s is %s:", shortID(a.ID), a.Node, a.Status)
		for _, event := range a.Events {
			fmt.Fprintf(&b, "\n    %s", event)
		}
	}
	if len(e.Allocations) > 0 {
		fmt.Fprintf(&b, "\n  its log: nomad alloc logs -stderr %s", shortID(e.Allocations[0].ID))
	}
	return b.String()
}

// CanaryGoneError says that a canary can't be promoted, since it does not run as it should.
type CanaryGoneError struct {
	Function, Release string
	Status            string // what Nomad says about it
}

// Error implements error.
func (e *CanaryGoneError) Error() string {
	return fmt.Sprintf("the canary of function %q (release %s) can't be promoted: %s; `countersign abort %s` ends it",
		e.Function, e.Release, e.Status, e.Function)
}

// CanaryMisfitError refuses a canary whose callers would meet two interfaces. Nothing was run.
type CanaryMisfitError struct {
	Function string
	Callers  []string
}

// Error implements error.
func (e *CanaryMisfitError) Error() string {
	return fmt.Sprintf("a canary of function %q would have another interface than the release that runs, and its callers "+
		"(%s) would meet both: deploy it with its callers and without -canary", e.Function, strings.Join(e.Callers, ", "))
}

// NoCanaryError says that no canary of a function is open.
type NoCanaryError struct{ Function string }

// Error implements error.
func (e *NoCanaryError) Error() string {
	return fmt.Sprintf("function %q has no open canary: deploy with -canary 10%% opens one", e.Function)
}

// InterruptedError says that waiting was given up while Nomad goes on.
type InterruptedError struct {
	Function   string
	Deployment string
	Err        error
}

// Error implements error.
func (e *InterruptedError) Error() string {
	s := fmt.Sprintf("stopped waiting for function %q; a version that served before serves until the new one is "+
		"healthy.\n  go on:   run the same deploy again\n", e.Function)
	if e.Deployment != "" {
		s += "  watch:   nomad deployment status -monitor " + shortID(e.Deployment) +
			"\n  undo:    nomad deployment fail " + shortID(e.Deployment)
	} else {
		s += "  watch:   nomad job status " + e.Function
	}
	return s
}

// Unwrap returns the cause.
func (e *InterruptedError) Unwrap() error { return e.Err }

// nomadError tells an answer of Nomad from a failure to reach it.
func nomadError(address string, err error) error {
	if err == nil {
		return nil
	}
	var response nomad.UnexpectedResponseError
	if errors.As(err, &response) {
		switch code := response.StatusCode(); {
		case code == 403:
			return fmt.Errorf("no permission; set NOMAD_TOKEN to a token that may submit jobs: %w", err)
		case response.Body() != "":
			return fmt.Errorf("answer %d of Nomad: %s", code, strings.Join(strings.Fields(response.Body()), " "))
		}
		return err
	}
	return &UnreachableError{Server: "Nomad at " + address, Err: err}
}

// shortID shortens a UUID as the Nomad command does.
func shortID(id string) string { return id[:min(8, len(id))] }

// isUnreachable tells whether err says that a server could not be reached.
func isUnreachable(err error) bool {
	var u interface{ Unreachable() bool }
	return errors.As(err, &u) && u.Unreachable()
}
