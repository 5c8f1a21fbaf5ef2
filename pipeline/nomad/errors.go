package nomad

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/failure"
)

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
	var response api.UnexpectedResponseError
	if errors.As(err, &response) {
		switch code := response.StatusCode(); {
		case code == 403:
			return fmt.Errorf("no permission; set NOMAD_TOKEN to a token that may submit jobs: %w", err)
		case response.Body() != "":
			return fmt.Errorf("answer %d of Nomad: %s", code, strings.Join(strings.Fields(response.Body()), " "))
		}
		return err
	}
	return &failure.UnreachableError{Server: "Nomad at " + address, Err: err}
}

// shortID shortens a UUID as the Nomad command does.
func shortID(id string) string { return id[:min(8, len(id))] }
