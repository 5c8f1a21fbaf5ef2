// Package problem turns the error of a call into what the party at the other end is told: an RFC 9457 problem document
// and its HTTP status. docs/errors.md is the normative table.
//
// It owns what of an error is told and what is not. It must not know how calls are routed, carried or run.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"

	"countersign"
	"countersign/vaultsign/callsig"
)

// Document is an RFC 9457 problem document. It is the body of every failed call, from outside or within.
type Document struct {
	Type   string           `json:"type"`
	Title  string           `json:"title"`
	Status int              `json:"status"`
	Code   countersign.Code `json:"code"`
	Detail string           `json:"detail"`
}

// Of describes err for the party at the other end: code and reason, never the cause.
func Of(err error) Document {
	code, reason := countersign.CodeOf(err), "internal error; the host's log has the cause"
	var ce *countersign.CallError
	if errors.As(err, &ce) {
		reason = ce.Reason
	} else if code != countersign.CodeInternal {
		reason = err.Error()
	}
	return Document{Type: "about:blank", Title: string(code), Status: Status(code), Code: code, Detail: reason}
}

// Return is the return of a call that was executed and failed with err.
func Return(err error) callsig.Return {
	p := Of(err)
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`)
	}
	return callsig.Return{Status: p.Status, Code: p.Code, Body: body}
}

// Unsigned is the return of a call of function that was executed, and whose own return can't be signed as it is.
func Unsigned(function string) callsig.Return {
	return Return(countersign.Errorf(countersign.CodeInternal, function,
		"the call was executed, and its return could not be signed; the host's log has the cause"))
}

// Unanswerable is the error of a call of function that was executed, and for which no return at all can be signed.
func Unanswerable(function string, err error) error {
	return &countersign.CallError{Code: countersign.CodeInternal, Function: function, Err: err,
		Reason: "the call was executed, and nobody can sign a return: the instance's call certificate has ended"}
}

// OfSignature turns what package callsig refused, in a call of function, into the error of the call.
func OfSignature(function string, err error) error {
	var refused *callsig.Error
	if errors.As(err, &refused) {
		return &countersign.CallError{Code: refused.Code(), Function: function, Reason: refused.Error(), Err: err}
	}
	return countersign.Errorf(countersign.CodeInternal, function, "signing or verifying: %w", err)
}

// statuses maps codes to HTTP statuses (docs/errors.md). What is not here is a fault: 500.
var statuses = map[countersign.Code]int{
	"":                                http.StatusOK,
	countersign.CodeBadRequest:        http.StatusBadRequest,
	countersign.CodeUnverified:        http.StatusUnauthorized,
	countersign.CodeExpired:           http.StatusUnauthorized,
	countersign.CodeReplayed:          http.StatusUnauthorized,
	countersign.CodeNotPermitted:      http.StatusForbidden,
	countersign.CodeUnknownFunction:   http.StatusNotFound,
	countersign.CodeInterfaceMismatch: http.StatusConflict,
	countersign.CodeTooLarge:          http.StatusRequestEntityTooLarge,
	countersign.CodeFailed:            http.StatusUnprocessableEntity,
	countersign.CodeOverloaded:        http.StatusTooManyRequests,
	countersign.CodeCanceled:          499, // no standard status; nginx's, widely understood
	countersign.CodeUnavailable:       http.StatusServiceUnavailable,
	countersign.CodeDeadline:          http.StatusGatewayTimeout,
	countersign.CodeLoop:              http.StatusLoopDetected,
}

// Status is the HTTP status of a code.
func Status(code countersign.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
