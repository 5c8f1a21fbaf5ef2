package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
)

// maxHops bounds how deep functions may call each other, so that a circle ends.
const maxHops = 16

// outbound makes the calls of one task: it is the caller's side of a call. It implements countersign.Caller.
type outbound struct{ task *task }

// Call implements countersign.Caller: permit, route, sign, deliver, verify the return.
func (o outbound) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) ([]byte, error) {
	began := time.Now()
	if !slices.Contains(o.task.spec.Calls, callee) {
		return nil, countersign.Errorf(countersign.CodeNotPermitted, callee,
			"function %q may not call %q: its spec does not list it in calls", o.task.Function(), callee)
	}
	if parent.Hops+1 > maxHops {
		return nil, countersign.Errorf(countersign.CodeLoop, callee, "more than %d hops: functions call each other in a circle", maxHops)
	}
	to, err := o.task.host.table.Pick(callee)
	if err != nil {
		return nil, err
	}
	pair, err := o.task.host.sessions.between(o.task, to)
	if err != nil {
		return nil, err
	}
	call := callsig.Call{Caller: o.task.svid, Callee: to.svid, Deadline: callDeadline(ctx, to), ID: newCallID(),
		Traceparent: parent.Traceparent, Hops: parent.Hops + 1, Body: request}
	signed, err := callsig.SignCall(pair.caller, call, began)
	if err != nil {
		return nil, refusal(callee, err)
	}
	answer, err := to.receive(ctx, pair.callee, signed)
	if err != nil {
		return nil, err
	}
	if err := callsig.VerifyReturn(pair.caller, signed, answer, time.Now()); err != nil {
		return nil, refusal(callee, err)
	}
	explainHop(ctx, countersign.Hop{Call: call.ID, Caller: o.task.svid.String(), Callee: to.svid.String(), Allocation: to.ID(),
		Algorithm: string(signed.Signature.Algorithm), Key: signed.Signature.KeyID, Verified: "call and return",
		Code: answer.Return.Code, Micros: time.Since(began).Microseconds()})
	return replyOf(callee, &answer.Return)
}

// callDeadline is when the caller stops waiting: what is left of its own time, and at most what the callee's spec
// gives a call.
func callDeadline(ctx context.Context, to *task) time.Time {
	d := time.Now().Add(to.spec.Call.Timeout)
	if own, ok := ctx.Deadline(); ok && own.Before(d) {
		return own
	}
	return d
}

// replyOf turns a verified return into the reply or the error that it carries.
func replyOf(callee string, r *callsig.Return) ([]byte, error) {
	if r.Code == "" {
		return r.Body, nil
	}
	var p problem
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return nil, countersign.Errorf(countersign.CodeBroken, callee, "the return's problem document is malformed")
	}
	return nil, &countersign.CallError{Code: r.Code, Function: callee, Reason: p.Detail}
}

// refusal turns what package callsig refused into the error of the call.
func refusal(function string, err error) error {
	var refused *callsig.Error
	if errors.As(err, &refused) {
		return &countersign.CallError{Code: refused.Code(), Function: function, Reason: refused.Error(), Err: err}
	}
	return countersign.Errorf(countersign.CodeInternal, function, "signing or verifying: %w", err)
}

var (
	callIDPrefix = rand.Text()[:13]
	callIDs      atomic.Uint64
)

// newCallID returns an ID that no other call has: a random part per process, and a count.
func newCallID() string {
	return callIDPrefix + "-" + strconv.FormatUint(callIDs.Add(1), 36)
}
