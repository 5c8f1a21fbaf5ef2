package calls

import (
	"context"
	"time"

	"countersign"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/vaultsign/callsig"
)

// local makes the call to an instance of this host: both ends are here, and sign with their session's keys.
func (o *outgoing) local(ctx context.Context, to *Instance, limits *router.Policy) ([]byte, error) {
	call := o.message(ctx, to.config.SVID, to.Spec().Call.Timeout, limits)
	keys, err := o.node.sessions.between(o.from, to, call.Deadline)
	if err != nil {
		return nil, err
	}
	signed, err := callsig.SignCall(keys.caller, call, time.Now())
	if err != nil {
		return nil, problem.OfSignature(o.callee, err)
	}
	answer, err := to.receive(ctx, o.from, keys.callee, signed)
	if err != nil {
		if countersign.CodeOf(err) == countersign.CodeInterfaceMismatch {
			o.from.misfits.add(o.built, to.InterfaceDigest())
		}
		return nil, &retry.Failure{Kind: retry.Refused, Err: err}
	}
	return o.answered(ctx, keys, signed, answer)
}

// answered verifies the return of a call within this host and hands out what it says.
func (o *outgoing) answered(
	ctx context.Context, keys *session, call *callsig.SignedCall, answer *callsig.SignedReturn,
) ([]byte, error) {
	if err := callsig.VerifyReturn(keys.caller, call, answer, time.Now()); err != nil {
		return nil, problem.OfSignature(o.callee, err)
	}
	o.explain(ctx, call, answer)
	return replyOf(o.callee, &answer.Return)
}
