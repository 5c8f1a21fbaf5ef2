package apply

import (
	"fmt"
	"strings"
)

// RecordError says that an artifact is not what the record says that names it. Nothing was run.
type RecordError struct {
	Function string
	What     string // what the artifact says instead
}

// Error implements error.
func (e *RecordError) Error() string {
	return fmt.Sprintf("the artifact of function %q is not what its release record says: %s", e.Function, e.What)
}

// Unverified tells that something was checked and refused.
func (e *RecordError) Unverified() bool { return true }

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
