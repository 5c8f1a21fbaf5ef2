package ingress

import (
	"time"

	"countersign"
	"countersign/host/calls"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// verifySigned verifies a signed call of a client, once: a nonce is good for one verification.
func (a *arrival) verifySigned(maxRequest int64) error {
	if err := a.readBody(maxRequest); err != nil || a.signed != nil {
		return err
	}
	var call *callsig.SignedCall
	var err error
	switch v := &a.in.verifier; {
	case a.forwarded:
		call, err = v.VerifyForwarded(a.r, a.body, a.callee, passedOnFrom(a.r.RemoteAddr))
	case a.r.TLS == nil && !fromLoopback(a.r):
		call, err = v.VerifyExposed(a.r, a.body, a.callee, a.in.isAddress)
	default:
		call, err = v.VerifyRequest(a.r, a.body, a.callee)
	}
	if err != nil {
		return problem.OfSignature(a.callee.Name(), err)
	}
	if call.Call.Caller.Kind() != identity.KindClient {
		return countersign.Errorf(countersign.CodeNotPermitted, a.callee.Name(),
			"%s is a function: functions call each other through their own host", call.Call.Caller)
	}
	a.signed = call
	return nil
}

// runSigned runs a verified call and writes its signed return.
func (a *arrival) runSigned(at *calls.Instance) error {
	if err := at.FromOutside(a.signed.Call.Interface); err != nil {
		return &retry.Failure{Kind: retry.Refused, Err: err}
	}
	return a.run(at, a.signed.Call.Caller.String(), &a.signed.Call, func(signer callsig.Signer, ret callsig.Return) error {
		_, err := callsig.SignResponse(a.w.Header(), signer, a.signed, ret, time.Now())
		return err
	})
}
