package host

import (
	"context"
	"time"

	"countersign"
	"countersign/router"
	"countersign/vaultsign/callsig"
)

// local makes the call to an instance of this host: both ends are here, and sign with their session's keys.
func (h *hop) local(ctx context.Context, to *task, policy *router.Policy) ([]byte, error) {
	pair, err := h.host.sessions.between(h.from, to)
	if err != nil {
		return nil, err
	}
	call := h.message(ctx, to.svid, to.spec.Call.Timeout, policy)
	signed, err := callsig.SignCall(pair.caller, call, time.Now())
	if err != nil {
		return nil, refusal(h.callee, err)
	}
	answer, err := to.receive(ctx, pair.callee, signed)
	if countersign.CodeOf(err) == countersign.CodeUnavailable { // it is stopping, and accepted nothing
		return nil, &elsewhere{err}
	}
	if err != nil {
		return nil, err
	}
	if err := callsig.VerifyReturn(pair.caller, signed, answer, time.Now()); err != nil {
		return nil, refusal(h.callee, err)
	}
	h.explain(ctx, signed, answer)
	return replyOf(h.callee, &answer.Return)
}

// receive is the callee's side of a call on this node: verify, run, sign the return. An error means that the call was
// refused before the instance accepted it, so nothing is signed; what fails after that is a signed return.
func (t *task) receive(ctx context.Context, session *callsig.Session, call *callsig.SignedCall) (*callsig.SignedReturn, error) {
	if err := t.checkSize(int64(len(call.Call.Body))); err != nil {
		return nil, err
	}
	if err := callsig.VerifyCall(session, t.svid, call, time.Now()); err != nil {
		return nil, refusal(t.Function(), err)
	}
	result, err := t.run(ctx, &call.Call)
	if err != nil {
		return nil, err
	}
	answer, err := callsig.SignReturn(session, call, result, time.Now())
	if err != nil {
		return nil, refusal(t.Function(), err)
	}
	return answer, nil
}
