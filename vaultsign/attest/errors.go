package attest

import (
	"errors"
	"fmt"
)

// Reason says in one word why an attestation was refused. The words are stable: they are in metrics, task events and
// docs/attestation-format.md.
type Reason string

// The reasons of a refusal.
const (
	Malformed      Reason = "malformed"       // not a bundle, envelope or statement, ambiguous, or over a size limit
	WrongType      Reason = "wrong_type"      // another media, payload, statement, predicate or build type
	WrongKey       Reason = "wrong_key"       // signed by another key than the function's
	UnknownVersion Reason = "unknown_version" // the key ring has no key of the version: it may be older than the key
	VersionRetired Reason = "version_retired" // the key version is below the ring's minimum
	BadSignature   Reason = "bad_signature"   // the signature is not one of the named key version over this payload
	WrongFunction  Reason = "wrong_function"  // about another function
	WrongDigest    Reason = "wrong_digest"    // about another manifest or other files
	WrongSpec      Reason = "wrong_spec"      // about another function spec
	WrongInterface Reason = "wrong_interface" // about another interface
	Missing        Reason = "missing"         // there is no attestation
	Incomplete     Reason = "incomplete"      // the verifier did not say what to expect
)

// VerificationError is every refusal of Verify and VerifyAny.
type VerificationError struct {
	Reason   Reason
	Function string // whose attestation was wanted
	KeyID    string // what the bundle names as its key, as far as it was read; not verified
	Detail   string // for people
	Err      error  // the cause, or nil
}

// Error implements error.
func (e *VerificationError) Error() string {
	return fmt.Sprintf("attestation of function %.80q refused: %s: %s", e.Function, e.Reason, e.Detail)
}

// Unwrap returns the cause.
func (e *VerificationError) Unwrap() error { return e.Err }

// Unverified marks the error as a verification failure.
func (e *VerificationError) Unverified() bool { return true }

// refuse makes a refusal. Function and KeyID are filled in by Verify.
func refuse(reason Reason, format string, args ...any) *VerificationError {
	return &VerificationError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// refuseFor makes a refusal from its cause.
func refuseFor(reason Reason, err error) *VerificationError {
	return &VerificationError{Reason: reason, Detail: err.Error(), Err: err}
}

// IsRetired tells whether an attestation was refused since the version of the key that signed it is retired.
func IsRetired(err error) bool {
	var refused *VerificationError
	return errors.As(err, &refused) && refused.Reason == VersionRetired
}
