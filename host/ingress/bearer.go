package ingress

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"countersign"
	"countersign/host/calls"
	"countersign/host/ingress/token"
	"countersign/host/problem"
	"countersign/vaultsign/callsig"
)

// tokenCall is a call whose bearer token was verified.
type tokenCall struct {
	caller token.Caller
	call   *callsig.Call
}

// bearing tells whether a request brings a token and no signature.
func bearing(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" && r.Header.Get("Signature-Input") == ""
}

// verifyToken verifies the bearer token of a call, once, and reads the call.
func (a *arrival) verifyToken(maxRequest int64) error {
	if a.token != nil {
		return a.readBody(maxRequest)
	}
	function := a.callee.Name()
	raw, err := bearer(a.r)
	if err != nil {
		return countersign.Errorf(countersign.CodeUnverified, function, "%w", err)
	}
	if a.in.tokens == nil {
		return countersign.Errorf(countersign.CodeUnverified, function, "this node trusts no issuer of tokens")
	}
	if a.r.TLS == nil && !fromLoopback(a.r) {
		return countersign.Errorf(countersign.CodeNotPermitted, function,
			"a token over plain HTTP can be read by anybody on the way, and is not accepted: use HTTPS and get a new one")
	}
	caller, err := a.in.tokens.Verify(a.r.Context(), raw)
	if err != nil {
		return a.tokenRefusal(err)
	}
	if err := a.readBody(maxRequest); err != nil {
		return err
	}
	call, err := callsig.ReadTokenCall(a.r, a.body, a.callee)
	if err != nil {
		return problem.OfSignature(function, err)
	}
	if call.ID == "" {
		call.ID = calls.NewCallID()
	}
	a.token = &tokenCall{caller, call}
	return nil
}

// tokenRefusal turns what package token says into the error of the call.
func (a *arrival) tokenRefusal(err error) error {
	function := a.callee.Name()
	var refused *token.Error
	if errors.As(err, &refused) {
		return &countersign.CallError{Code: refused.Code(), Function: function, Reason: refused.Error(), Err: err}
	}
	a.in.log.Warn("a token cannot be verified", "function", function, "error", err)
	return &countersign.CallError{Code: countersign.CodeUnavailable, Function: function, Err: err,
		Reason: "the keys of the token's issuer could not be fetched"}
}

// runToken runs a verified call and writes its signed return.
func (a *arrival) runToken(at *calls.Instance) error {
	call := *a.token.call
	if call.Deadline.IsZero() {
		call.Deadline = time.Now().Add(at.Spec().Call.Timeout)
	}
	return a.run(at, a.token.caller.String(), &call, func(signer callsig.Signer, ret callsig.Return) error {
		_, err := callsig.SignTokenResponse(a.w.Header(), signer, a.r, call.ID, ret, time.Now())
		return err
	})
}

// bearer returns the token of a request (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) != 1 {
		return "", errors.New("the call needs one Authorization field with a bearer token")
	}
	scheme, raw, _ := strings.Cut(lines[0], " ")
	if raw = strings.Trim(raw, " "); !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", errors.New("the call's Authorization field is not a bearer token")
	}
	return raw, nil
}

// fromLoopback tells whether a request comes from this machine.
func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
