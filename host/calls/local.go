package calls

import (
	"context"
	"time"

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
	answer, err := to.receive(ctx, keys.callee, signed)
	if err != nil {
		return nil, &retry.Failure{Kind: retry.Refused, Err: err}
	}
	if err := callsig.VerifyReturn(keys.caller, signed, answer, time.Now()); err != nil {
		return nil, problem.OfSignature(o.callee, err)
	}
	o.explain(ctx, signed, answer)
	return replyOf(o.callee, &answer.Return)
}
