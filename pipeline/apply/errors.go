package apply

import (
	"fmt"
	"strings"

	"countersign/release"
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

// CanaryMisfitError refuses a canary whose callers would meet a release that they can't call. Nothing was run.
type CanaryMisfitError struct {
	Function string
	Misfits  []release.Misfit
}

// Error implements error.
func (e *CanaryMisfitError) Error() string {
	var lines strings.Builder
	for _, m := range e.Misfits {
		lines.WriteString("\n  " + m.String())
	}
	return fmt.Sprintf("a canary of function %q would have another interface than the release that runs, and its callers "+
		"would meet both: deploy it with its callers and without -canary%s", e.Function, &lines)
}

// Unwrap returns why interfaces could not be compared.
func (e *CanaryMisfitError) Unwrap() []error {
	return (&release.MisfitError{Misfits: e.Misfits}).Unwrap()
}

// NoCanaryError says that no canary of a function is open.
type NoCanaryError struct{ Function string }

// Error implements error.
func (e *NoCanaryError) Error() string {
	return fmt.Sprintf("function %q has no open canary: deploy with -canary 10%% opens one", e.Function)
}
