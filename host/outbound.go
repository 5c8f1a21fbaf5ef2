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
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// maxHops bounds how deep functions may call each other, so that a circle ends.
const maxHops = 16

// outbound makes the calls of one task: it is the caller's side of a call. It implements countersign.Caller.
type outbound struct{ task *task }

// Call implements countersign.Caller: permit, then route, sign, deliver and verify the return, elsewhere again if the
// first instance can't be had.
func (o outbound) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) ([]byte, error) {
	h := hop{from: o.task, host: o.task.host, parent: parent, callee: callee, request: request, began: time.Now(), route: telemetry.RouteLocal}
	ctx, span := h.host.telemetry.Start(ctx, parent.Traceparent, telemetry.Client, callee, telemetry.Caller(o.task.Function()))
	h.trace = span.Traceparent()
	reply, err := h.call(ctx)
	code := countersign.CodeOf(err)
	span.End(code, telemetry.Route(h.route), telemetry.Allocation(h.allocation), telemetry.Node(h.node))
	h.host.telemetry.Edge(o.task.Function(), callee, h.route).Done(code, time.Since(h.began))
	return reply, err
}

// hop is one call of a function by another on its way: what all attempts share.
type hop struct {
	from    *task
	host    *Host
	parent  *countersign.Invocation
	callee  string
	request []byte
	began   time.Time
	trace   string // traceparent that goes along

	route      string // that the last attempt took
	allocation string // that it went to
	node       string // where that is
}

// call is the whole of a hop: refuse what may not be, then try instances until one answers.
func (h *hop) call(ctx context.Context) ([]byte, error) {
	if err := h.permit(); err != nil {
		h.host.refused(h.callee, telemetry.SideCaller, err)
		return nil, err
	}
	query := router.Query{Caller: h.from.Function(), Callee: h.callee, Allowed: h.from.lists, Header: h.header}
	var failed error
	for retries := 0; ; retries++ {
		choice, err := h.host.router.Route(&query)
		if err != nil {
			if failed != nil { // no further instance: how the last one failed says more
				return nil, failed
			}
			h.host.refused(h.callee, telemetry.SideCaller, err)
			return nil, err
		}
		reply, err := h.attempt(ctx, &choice)
		var other *elsewhere
		if err == nil || !errors.As(err, &other) {
			return reply, err
		}
		if failed = other.err; retries >= choice.Policy.Retries || ctx.Err() != nil {
			return nil, failed
		}
		if choice.IsLocal {
			query.LocalTried = append(query.LocalTried, choice.Local.ID())
		} else {
			query.Tried = append(query.Tried, choice.Remote)
		}
		h.host.telemetry.Retried(h.callee, string(countersign.CodeOf(failed)))
	}
}

// permit refuses what the caller's own spec or the hop limit does not allow. What Consul's intentions say is the
// router's.
func (h *hop) permit() error {
	if !h.from.lists(h.callee) {
		return countersign.Errorf(countersign.CodeNotPermitted, h.callee,
			"function %q may not call %q: its spec does not list it in calls", h.from.Function(), h.callee)
	}
	if h.parent.Hops+1 > maxHops {
		return countersign.Errorf(countersign.CodeLoop, h.callee, "more than %d hops: functions call each other in a circle", maxHops)
	}
	return nil
}

// attempt makes the call to one instance.
func (h *hop) attempt(ctx context.Context, choice *router.Choice[*task]) ([]byte, error) {
	h.host.telemetry.Chose(h.callee, choice.IsLocal)
	if choice.IsLocal {
		h.route, h.allocation, h.node = telemetry.RouteLocal, choice.Local.ID(), h.host.node
		return h.local(ctx, choice.Local, choice.Policy)
	}
	h.route, h.allocation, h.node = telemetry.RouteRemote, choice.Remote.Allocation, choice.Remote.Node
	return h.remote(ctx, choice)
}

// header returns the fields of the call for the matches of service-routers.
func (h *hop) header(name string) string {
	switch name {
	case "content-type":
		return callsig.ContentType
	case "traceparent":
		return h.trace
	case "countersign-caller":
		return h.from.svid.String()
	case "countersign-hops":
		return strconv.Itoa(h.parent.Hops + 1)
	}
	return ""
}

// message makes the call that is signed. timeout is what the callee's spec gives a call.
func (h *hop) message(ctx context.Context, callee identity.ID, timeout time.Duration, policy *router.Policy) callsig.Call {
	return callsig.Call{Caller: h.from.svid, Callee: callee, Deadline: h.deadline(ctx, timeout, policy), ID: newCallID(),
		Traceparent: h.trace, Hops: h.parent.Hops + 1, Body: h.request}
}

// deadline is when the caller stops waiting: what is left of its own time, and at most what the callee's spec and the
// config entries give a call.
func (h *hop) deadline(ctx context.Context, timeout time.Duration, policy *router.Policy) time.Time {
	d := time.Now().Add(timeout)
	if policy.RequestTimeout > 0 && h.began.Add(policy.RequestTimeout).Before(d) {
		d = h.began.Add(policy.RequestTimeout)
	}
	if own, ok := ctx.Deadline(); ok && own.Before(d) {
		return own
	}
	return d
}

// explain notes a verified hop, if somebody asked.
func (h *hop) explain(ctx context.Context, call *callsig.SignedCall, answer *callsig.SignedReturn) {
	explainHop(ctx, countersign.Hop{Call: call.Call.ID, Caller: call.Call.Caller.String(), Callee: call.Call.Callee.String(),
		Allocation: h.allocation, Algorithm: string(call.Signature.Algorithm), Key: call.Signature.KeyID,
		Verified: "call and return", Code: answer.Return.Code, Micros: time.Since(h.began).Microseconds()})
}

// elsewhere is the failure of an attempt that may be made again with another instance: nothing was executed, or the
// function is idempotent.
type elsewhere struct{ err error }

// Error implements error.
func (e *elsewhere) Error() string { return e.err.Error() }

// Unwrap returns the failure.
func (e *elsewhere) Unwrap() error { return e.err }

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

// refused counts a call that was not let through, by the most exact reason that there is.
func (h *Host) refused(function, side string, err error) {
	reason := string(countersign.CodeOf(err))
	var signature *callsig.Error
	if errors.As(err, &signature) {
		reason = string(signature.Reason)
	}
	h.telemetry.Refused(function, side, reason)
}

var (
	callIDPrefix = rand.Text()[:13]
	callIDs      atomic.Uint64
)

// newCallID returns an ID that no other call has: a random part per process, and a count.
func newCallID() string {
	return callIDPrefix + "-" + strconv.FormatUint(callIDs.Add(1), 36)
}

// lists tells whether the task's attested spec lists a function in calls.
func (t *task) lists(function string) bool { return slices.Contains(t.spec.Calls, function) }
