// Package vaulterror says what an error of Vault's API means: no answer, a no, or a bad request. It must not know what was
// asked for.
package vaulterror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/vault/api"
)

// UnreachableError says that Vault gave no answer of its own: trying again may help.
type UnreachableError struct {
	Op  string // what was being done
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	var response *api.ResponseError
	if errors.As(e.Err, &response) && slices.Contains(response.Errors, "Vault is sealed") {
		return fmt.Sprintf("%s: Vault is sealed; `vault operator unseal` opens it", e.Op)
	}
	return fmt.Sprintf("%s: Vault could not be reached; `vault status` shows its state: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one of reaching a server.
func (e *UnreachableError) Unreachable() bool { return true }

// DeniedError says that Vault answered with a no: who asks is not known to it, or may not do this.
type DeniedError struct {
	Op   string // what was being done
	Path string // of Vault's API: what a policy or role must allow
	Err  error
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s: Vault refuses %s: check the token or workload identity, its policies and the role: %v", e.Op, e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// Denied marks the error as a decision of Vault.
func (e *DeniedError) Denied() bool { return true }

// Classify returns an *UnreachableError, a *DeniedError for the statuses 401 and 403, or another error that wraps err,
// which is not nil. op is what was being done, path is that of Vault's API.
func Classify(op, path string, err error) error {
	var response *api.ResponseError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case !errors.As(err, &response) || undecided(response.StatusCode):
		return &UnreachableError{Op: op, Err: err}
	case response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusUnauthorized:
		return &DeniedError{Op: op, Path: path, Err: err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// undecided tells the statuses with which Vault did not decide itself: sealed, standby without a leader, restarting,
// behind a proxy, over a rate limit.
func undecided(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusPreconditionFailed, 472, 473:
		return true
	}
	return status >= 500
}
