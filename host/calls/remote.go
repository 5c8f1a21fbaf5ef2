package calls

import (
	"context"
	"errors"

	"countersign"
	"countersign/host/link"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// remote makes the call to an instance of another host.
func (o *outgoing) remote(ctx context.Context, choice *router.Choice[*Instance]) ([]byte, error) {
	callee, err := identity.FunctionID(o.node.config.TrustDomain, choice.Function)
	if err != nil {
		return nil, countersign.Errorf(countersign.CodeInternal, o.callee, "naming the callee: %w", err)
	}
	to := retry.TargetOf(choice.Remote)
	to.Begin()
	answer, err := o.node.toOthers.Call(ctx, o.from, link.Target{Address: to.Address, Allocation: to.Allocation,
		Function: callee, ConnectTimeout: retry.ConnectTimeout(choice.Policy)}, func(terms link.Terms) callsig.Call {
		call := o.message(ctx, callee, terms.Timeout, choice.Policy)
		call.Explain = explaining(ctx) // on this host, ctx itself gets there
		return call
	})
	failed := o.failure(err, choice.Remote.Interface)
	o.node.retry.Settle(o.callee, to, failed)
	if failed != nil {
		return nil, failed
	}
	o.explain(ctx, answer.Call, answer.Return)
	explainBelow(ctx, answer.Return.Return.Explain)
	return replyOf(o.callee, &answer.Return.Return)
}

// failure says what the error of a link means for the call; nil for nil.
func (o *outgoing) failure(err error, listed string) *retry.Failure {
	if err == nil {
		return nil
	}
	var unreachable *link.UnreachableError
	var refused *link.RefusedError
	var signature *callsig.Error
	switch {
	case errors.As(err, &unreachable) && unreachable.Sent: // unavailable would say that nothing was executed
		return &retry.Failure{Kind: retry.Lost, Idempotent: unreachable.Idempotent, Err: &countersign.CallError{
			Code: countersign.CodeInternal, Function: o.callee, Err: err,
			Reason: "the instance's host went away during the call, which may have been executed"}}
	case errors.As(err, &unreachable):
		return &retry.Failure{Kind: retry.Unreachable, Err: &countersign.CallError{
			Code: countersign.CodeUnavailable, Function: o.callee, Err: err, Reason: "the instance's host can't be reached"}}
	case errors.As(err, &refused):
		if refused.Code == countersign.CodeInterfaceMismatch && refused.Interface == listed { // a host speaks for its own instance alone
			o.from.misfits.add(o.built, refused.Interface)
		}
		return &retry.Failure{Kind: retry.Refused, Err: &countersign.CallError{
			Code: refused.Code, Function: o.callee, Reason: refused.Reason, Err: err}}
	case errors.As(err, &signature):
		o.node.Refused(o.callee, telemetry.SideCaller, err)
		return &retry.Failure{Kind: retry.Unanswered, Err: problem.OfSignature(o.callee, err)}
	}
	switch countersign.CodeOf(err) {
	case countersign.CodeCanceled:
		return &retry.Failure{Kind: retry.Canceled, Err: err}
	case countersign.CodeTooLarge: // for the callee's terms: it was not sent
		return &retry.Failure{Kind: retry.Withheld, Err: err}
	}
	return &retry.Failure{Kind: retry.Unanswered, Err: err}
}
