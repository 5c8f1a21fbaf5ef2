package callsig

import (
	"fmt"

	"countersign"
)

// Reason says why a call or a return was refused. The values are the ones of docs/call-format.md.
type Reason string

// The reasons to refuse.
const (
	ReasonUnsigned         Reason = "unsigned"          // no signature of ours on the message
	ReasonMalformed        Reason = "malformed"         // a field or a parameter is missing, double or unreadable
	ReasonMissingComponent Reason = "missing_component" // the signature does not cover what it must
	ReasonWrongAlgorithm   Reason = "wrong_algorithm"   // not the algorithm of the key
	ReasonUnknownKey       Reason = "unknown_key"       // no such session, or no certificate for the key ID
	ReasonBadCertificate   Reason = "bad_certificate"   // the signer's certificate does not verify
	ReasonWrongCaller      Reason = "wrong_caller"      // the call names another caller than the key's owner
	ReasonWrongCallee      Reason = "wrong_callee"      // the call is for somebody else, or the return from somebody else
	ReasonWrongCall        Reason = "wrong_call"        // the return belongs to another call
	ReasonBadDigest        Reason = "bad_digest"        // the body is not the one that was signed
	ReasonBadSignature     Reason = "bad_signature"     // the signature does not verify
	ReasonNotYetValid      Reason = "not_yet_valid"     // created lies in the future
	ReasonExpired          Reason = "expired"           // too old, or signed for too long
	ReasonReplayed         Reason = "replayed"          // the nonce was seen before
	ReasonReplayCacheFull  Reason = "replay_cache_full" // no room to remember the nonce: refused, to be safe
)

// codes maps each reason to the code of the failed call; docs/call-format.md has the same table.
var codes = map[Reason]countersign.Code{
	ReasonUnsigned:         countersign.CodeUnverified,
	ReasonMalformed:        countersign.CodeBadRequest,
	ReasonMissingComponent: countersign.CodeUnverified,
	ReasonWrongAlgorithm:   countersign.CodeUnverified,
	ReasonUnknownKey:       countersign.CodeUnverified,
	ReasonBadCertificate:   countersign.CodeUnverified,
	ReasonWrongCaller:      countersign.CodeUnverified,
	ReasonWrongCallee:      countersign.CodeUnverified,
	ReasonWrongCall:        countersign.CodeUnverified,
	ReasonBadDigest:        countersign.CodeUnverified,
	ReasonBadSignature:     countersign.CodeUnverified,
	ReasonNotYetValid:      countersign.CodeExpired,
	ReasonExpired:          countersign.CodeExpired,
	ReasonReplayed:         countersign.CodeReplayed,
	ReasonReplayCacheFull:  countersign.CodeOverloaded,
}

// Code returns the code of a call that was refused for this reason.
func (r Reason) Code() countersign.Code {
	if code, ok := codes[r]; ok {
		return code
	}
	return countersign.CodeUnverified
}

// Error is the refusal of a call, a return or a session message.
type Error struct {
	Reason  Reason
	Message string // for people; holds nothing of the body and no secret
	Err     error  // cause, such as an *identity.CertificateError, or nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Reason, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Unverified tells this error from one about reaching something.
func (e *Error) Unverified() bool { return true }

// Code returns the code of the failed call.
func (e *Error) Code() countersign.Code { return e.Reason.Code() }

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// because is refuse with a cause.
func because(reason Reason, err error, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Err: err}
}
