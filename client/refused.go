package client

import (
	"errors"
	"fmt"
	"mime"
	"net/http"

	"countersign"
	"countersign/strictjson"
	"countersign/vaultsign/callsig"
)

// RefusedError is what a node answered that did not pass the call on to the function. Nobody signed it, so it is no
// answer of the function: it only tells why there is none.
type RefusedError struct {
	Function string
	Status   int              // HTTP status
	Code     countersign.Code // as the node said
	Reason   string           // as the node said
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the node refused the call of function %q (unsigned answer): %s: %s", e.Function, e.Code, e.Reason)
}

// problem has the members of an RFC 9457 problem document that matter here.
type problem struct {
	Code   countersign.Code `json:"code"`
	Detail string           `json:"detail"`
}

// unverified tells a node's refusal from an answer that claims to be the function's and does not verify.
func unverified(response *http.Response, body []byte, function string, err error) error {
	var refused *callsig.Error
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if errors.As(err, &refused) && refused.Reason == callsig.ReasonUnsigned && response.StatusCode >= 400 {
		r := &RefusedError{Function: function, Status: response.StatusCode, Code: countersign.CodeInternal,
			Reason: http.StatusText(response.StatusCode)}
		var p problem
		if media == callsig.ProblemType && strictjson.DecodeOpen(body, &p) == nil && p.Code != "" {
			r.Code, r.Reason = p.Code, p.Detail
		}
		return r
	}
	return fmt.Errorf("the return of function %q does not verify: %w", function, err)
}

// detailOf returns the detail of a problem document.
func detailOf(body []byte) string {
	var p problem
	if err := strictjson.DecodeOpen(body, &p); err != nil || p.Detail == "" {
		return "the function gave no reason"
	}
	return p.Detail
}
