package transit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
)

// ErrNoKey says that Vault has no key of a function: it was never deployed, or the mount is another one.
var ErrNoKey = errors.New("no such key in Vault; the first deploy of a function makes it")

// UnreachableError says that Vault gave no answer: trying again may help.
type UnreachableError struct {
	Op  string // what was being done
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: Vault could not be reached; `vault status` shows its state: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one of reaching a server.
func (e *UnreachableError) Unreachable() bool { return true }

// DeniedError says that Vault answered with a no: the token is missing, has ended, or its policies do not allow it.
type DeniedError struct {
	Op   string // what was being done
	Path string // of Vault's API: what the policy must allow
	Err  error
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s: Vault denies access to %s: check the token and its policies: %v", e.Op, e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// classify tells no answer from a no, and both from a bad request. err is not nil.
func classify(op, path string, err error) error {
	var answer *api.ResponseError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case !errors.As(err, &answer):
		return &UnreachableError{Op: op, Err: err}
	case answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized:
		return &DeniedError{Op: op, Path: path, Err: err}
	// Sealed, standby without a leader, restarting, behind a proxy, over a rate limit: Vault itself did not decide.
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode == http.StatusPreconditionFailed || answer.StatusCode == 472 || answer.StatusCode == 473:
		return &UnreachableError{Op: op, Err: err}
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w (is the transit engine mounted where %s says?): %w", op, ErrNoKey, path, err)
	}
	return fmt.Errorf("%s: Vault refused the request: %w", op, err)
}
