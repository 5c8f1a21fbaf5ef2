package calls

import (
	"context"
	"net/http"
	"time"

	"countersign"
	"countersign/host/link"
	"countersign/host/problem"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// receive is the callee's side of a call on this node: verify, run, sign the return. An error means that the call was
// refused before the instance accepted it, so nothing is signed; what fails after that is a signed return.
func (in *Instance) receive(
	ctx context.Context, from *Instance, session *callsig.Session, call *callsig.SignedCall,
) (*callsig.SignedReturn, error) {
	if err := in.checkSize(int64(len(call.Call.Body))); err != nil {
		return nil, err
	}
	if err := callsig.VerifyCall(session, in.config.SVID, call, time.Now()); err != nil {
		return nil, problem.OfSignature(in.Function(), err)
	}
	if err := in.fits(call.Call.Interface, from); err != nil {
		return nil, err
	}
	ctx, stop, err := in.receivable(ctx, session, &call.Call)
	if err != nil {
		return nil, err
	}
	defer stop()
	result, err := in.Run(ctx, call.Call.Caller.String(), &call.Call)
	if err != nil {
		return nil, err
	}
	answer, err := callsig.SignReturn(session, call, result, time.Now())
	if err != nil {
		in.node.config.Log.Error("a return could not be signed", "function", in.Function(), "allocation", in.ID(), "error", err)
		answer, err = callsig.SignReturn(session, call, problem.Unsigned(in.Function()), time.Now())
	}
	if err != nil {
		return nil, problem.Unanswerable(in.Function(), err)
	}
	return answer, nil
}

// linked is an instance at the called end of a link, whose server verifies the call and signs the return.
type linked struct{ *Instance }

// callee finds the instance that a link is for.
func (n *Node) callee(allocation, function string) link.Callee {
	for _, in := range n.all() {
		if in.ID() == allocation && in.Function() == function && in.Accepts() {
			return linked{in}
		}
	}
	return nil
}

// Terms implements link.Callee: what the callee's attested spec says about calls.
func (l linked) Terms() link.Terms {
	call := l.Spec().Call
	return link.Terms{Timeout: call.Timeout, Idempotent: call.Idempotent, MaxRequest: call.MaxRequest,
		MaxResponse: call.MaxResponse, Release: l.Release(), Interface: l.InterfaceDigest()}
}

// Permit implements link.Callee. The caller's host has asked Consul's intentions as well, but a node that somebody took
// over would not.
func (l linked) Permit(caller identity.ID) error {
	name, ok := caller.Function()
	if !ok {
		return countersign.Errorf(countersign.CodeNotPermitted, l.Function(), "%s is not a function", caller)
	}
	return l.node.Router.Permitted(name, l.Function())
}

// Run implements link.Callee.
func (l linked) Run(ctx context.Context, call *callsig.Call) (callsig.Return, error) {
	if err := l.checkSize(int64(len(call.Body))); err != nil {
		return callsig.Return{}, err
	}
	caller := call.Caller.String()
	if !call.Explain {
		return l.Instance.Run(ctx, caller, call)
	}
	ctx, hops := Explain(ctx)
	result, err := l.Instance.Run(ctx, caller, call)
	result.Explain = hops.Encode()
	return result, err
}

// Run executes a verified call of caller, as the function is to see who calls, for no longer than the instance can sign
// the return. An error means that the instance did not accept it: nothing was executed.
func (in *Instance) Run(ctx context.Context, caller string, call *callsig.Call) (callsig.Return, error) {
	if call.Hops > maxHops {
		return callsig.Return{}, countersign.Errorf(countersign.CodeLoop, in.Function(), "more than %d hops", maxHops)
	}
	ctx, stop, err := in.signable(ctx, in.deadline(call), in.certificateEnds)
	if err != nil {
		return callsig.Return{}, err
	}
	defer stop()
	if err := in.begin(); err != nil {
		return callsig.Return{}, err
	}
	defer in.done()
	in.served.Begin()
	reply, err := in.execute(ctx, caller, call)
	err = in.stopped(ctx, err)
	in.served.End(countersign.CodeOf(err))
	if err != nil {
		return problem.Return(err), nil
	}
	return callsig.Return{Status: http.StatusOK, Body: reply}, nil
}

// execute runs the function for at most the time that the caller and the spec give it.
func (in *Instance) execute(ctx context.Context, caller string, call *callsig.Call) ([]byte, error) {
	deadline := in.deadline(call)
	if time.Until(deadline) <= 0 {
		return nil, countersign.Errorf(countersign.CodeDeadline, in.Function(), "the deadline had passed when the call arrived")
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return in.runtime.Invoke(ctx, &countersign.Invocation{ID: call.ID, Caller: caller, Function: in.Function(),
		Traceparent: call.Traceparent, Hops: call.Hops, Deadline: deadline, Body: call.Body})
}

// deadline is until when a call may run: for the time that the caller and the spec give it.
func (in *Instance) deadline(call *callsig.Call) time.Time {
	deadline := time.Now().Add(in.Spec().Call.Timeout)
	if call.Deadline.Before(deadline) {
		return call.Deadline
	}
	return deadline
}

func (in *Instance) checkSize(n int64) error {
	if most := in.Spec().Call.MaxRequest; n > most {
		return countersign.Errorf(countersign.CodeTooLarge, in.Function(),
			"the request has %d bytes, the function's spec allows %d (max_request)", n, most)
	}
	return nil
}
