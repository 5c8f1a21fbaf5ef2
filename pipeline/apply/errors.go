package apply

import (
	"fmt"
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

// NoCanaryError says that no canary of a function is open.
type NoCanaryError struct{ Function string }

// Error implements error.
func (e *NoCanaryError) Error() string {
	return fmt.Sprintf("function %q has no open canary: deploy with -canary 10%% opens one", e.Function)
}
