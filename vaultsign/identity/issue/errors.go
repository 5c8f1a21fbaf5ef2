package issue

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
)

// UnreachableError says that Vault gave no answer of its own: trying again may help.
type UnreachableError struct {
	Op  string // what was being done
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: Vault could not be reached (`vault status` shows its state): %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one of reaching a server.
func (e *UnreachableError) Unreachable() bool { return true }

// DeniedError says that Vault answered with a no: the JWT or the token is not accepted, or may not do this.
type DeniedError struct {
	Op   string // what was being done
	Path string // of Vault's API
	Err  error
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s: Vault refuses %s (check its auth role, policy and PKI role): %v", e.Op, e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// Denied marks the error as a decision of Vault.
func (e *DeniedError) Denied() bool { return true }

// classify tells no answer from a no. err is not nil.
func classify(op, path string, err error) error {
	var answer *api.ResponseError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case !errors.As(err, &answer):
		return &UnreachableError{Op: op, Err: err}
	// Sealed, standby without a leader, behind a proxy, over a rate limit: Vault itself did not decide.
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode == http.StatusPreconditionFailed || answer.StatusCode == 472 || answer.StatusCode == 473:
		return &UnreachableError{Op: op, Err: err}
	}
	return &DeniedError{Op: op, Path: path, Err: err}
}
