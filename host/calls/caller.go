package calls

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/strictjson"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// maxReason bounds what is passed on of another host's reason, in bytes.
const maxReason = 4 << 10

// maxHops bounds how deep functions may call each other, so that a circle ends.
const maxHops = 16

// Call is the caller's side of a call: permit, then route, sign, deliver and verify the return, elsewhere again if the
// first instance can't be had. It implements countersign.Caller for the instance's function.
func (in *Instance) Call(ctx context.Context, parent *countersign.Invocation, callee string, request []byte) ([]byte, error) {
	o := outgoing{from: in, node: in.node, parent: parent, callee: callee, request: request, built: in.faces.built[callee].digest,
		began: time.Now(), route: telemetry.RouteLocal}
	tm := in.node.config.Telemetry
	ctx, span := tm.Start(ctx, parent.Traceparent, telemetry.Client, callee, telemetry.Caller(in.Function()))
	o.trace = span.Traceparent()
	reply, err := o.call(ctx)
	code := countersign.CodeOf(err)
	span.End(code, telemetry.Route(o.route), telemetry.Allocation(o.allocation), telemetry.Node(o.at))
	tm.Edge(in.Function(), callee, o.route).Done(code, time.Since(o.began))
	return reply, err
}

var _ countersign.Caller = (*Instance)(nil)

// outgoing is one call of a function by another on its way: what all attempts share.
type outgoing struct {
	from    *Instance
	node    *Node
	parent  *countersign.Invocation
	callee  string
	request []byte
	began   time.Time
	trace   string // traceparent that goes along
	built   string // digest of the callee's interface that the caller was built with; "" without any

	route      string // that the last attempt took
	allocation string // that it went to
	at         string // node where that is
}

// call is the whole of it: refuse what may not be, then try instances until one answers.
func (o *outgoing) call(ctx context.Context) ([]byte, error) {
	if err := o.permit(); err != nil {
		o.node.Refused(o.callee, telemetry.SideCaller, err)
		return nil, err
	}
	query := router.Query{Caller: o.from.Function(), Callee: o.callee, Allowed: o.from.lists, Header: o.header,
		Fits: o.from.misfits.fits(o.built)}
	next := func() (*router.Choice[*Instance], *router.Policy, error) {
		choice, err := o.node.Route(&query)
		if err != nil {
			if len(query.Tried)+len(query.LocalTried) == 0 {
				o.node.Refused(o.callee, telemetry.SideCaller, err)
			}
			return nil, nil, err
		}
		if choice.IsLocal {
			query.LocalTried = append(query.LocalTried, choice.Local.ID())
		} else {
			query.Tried = append(query.Tried, choice.Remote)
		}
		return &choice, choice.Policy, nil
	}
	var reply []byte
	err := retry.Do(ctx, &o.node.retry, o.callee, next, func(choice *router.Choice[*Instance], _ *router.Policy) (err error) {
		reply, err = o.attempt(ctx, choice)
		if countersign.CodeOf(err) == countersign.CodeInterfaceMismatch {
			query.Fits = o.from.misfits.fits(o.built)
		}
		return err
	})
	return reply, err
}

// permit refuses what the caller's own spec or the hop limit does not allow. What Consul's intentions say is the
// router's.
func (o *outgoing) permit() error {
	if !o.from.lists(o.callee) {
		return countersign.Errorf(countersign.CodeNotPermitted, o.callee,
			"function %q may not call %q: its spec does not list it in calls", o.from.Function(), o.callee)
	}
	if o.parent.Hops+1 > maxHops {
		return countersign.Errorf(countersign.CodeLoop, o.callee, "more than %d hops: functions call each other in a circle", maxHops)
	}
	return nil
}

// attempt makes the call to one instance.
func (o *outgoing) attempt(ctx context.Context, choice *router.Choice[*Instance]) ([]byte, error) {
	o.node.config.Telemetry.Chose(o.callee, choice.IsLocal)
	if choice.IsLocal {
		o.route, o.allocation, o.at = telemetry.RouteLocal, choice.Local.ID(), o.node.config.Bind
		return o.local(ctx, choice.Local, choice.Policy)
	}
	o.route, o.allocation, o.at = telemetry.RouteRemote, choice.Remote.Allocation, choice.Remote.Node
	return o.remote(ctx, choice)
}

// header returns the fields of the call for the matches of service-routers.
func (o *outgoing) header(name string) string {
	switch name {
	case "content-type":
		return callsig.ContentType
	case "traceparent":
		return o.trace
	case "countersign-caller":
		return o.from.config.SVID.String()
	case "countersign-hops":
		return strconv.Itoa(o.parent.Hops + 1)
	}
	return ""
}

// message makes the call that is signed. timeout is what the callee's spec gives a call.
func (o *outgoing) message(ctx context.Context, callee identity.ID, timeout time.Duration, limits *router.Policy) callsig.Call {
	return callsig.Call{Caller: o.from.config.SVID, Callee: callee, Deadline: o.deadline(ctx, timeout, limits), ID: NewCallID(),
		Traceparent: o.trace, Hops: o.parent.Hops + 1, Interface: o.built, Body: o.request}
}

// deadline is when the caller stops waiting: what is left of its own time, and at most what the callee's spec and the
// config entries give a call.
func (o *outgoing) deadline(ctx context.Context, timeout time.Duration, limits *router.Policy) time.Time {
	d := time.Now().Add(timeout)
	if limits.RequestTimeout > 0 && o.began.Add(limits.RequestTimeout).Before(d) {
		d = o.began.Add(limits.RequestTimeout)
	}
	if own, ok := ctx.Deadline(); ok && own.Before(d) {
		return own
	}
	return d
}

// explain notes a verified hop, if somebody asked.
func (o *outgoing) explain(ctx context.Context, call *callsig.SignedCall, answer *callsig.SignedReturn) {
	explainHop(ctx, countersign.Hop{Call: call.Call.ID, Caller: call.Call.Caller.String(), Callee: call.Call.Callee.String(),
		Allocation: o.allocation, Algorithm: string(call.Signature.Algorithm), Key: call.Signature.KeyID,
		Verified: callsig.Verified(call, answer), Code: answer.Return.Code, Micros: time.Since(o.began).Microseconds()})
}

// replyOf turns a verified return into the reply or the error that it carries.
func replyOf(callee string, r *callsig.Return) ([]byte, error) {
	if r.Code == "" {
		return r.Body, nil
	}
	var p problem.Document
	if err := strictjson.DecodeOpen(r.Body, &p); err != nil {
		return nil, countersign.Errorf(countersign.CodeBroken, callee, "the return's problem document is malformed")
	}
	reason := strings.ToValidUTF8(p.Detail[:min(len(p.Detail), maxReason)], "\uFFFD")
	return nil, &countersign.CallError{Code: r.Code, Function: callee, Reason: reason}
}

var (
	callIDPrefix = rand.Text()[:13]
	callIDs      atomic.Uint64
)

// NewCallID returns an ID that no other call has: a random part per process, and a count.
func NewCallID() string {
	return callIDPrefix + "-" + strconv.FormatUint(callIDs.Add(1), 36)
}
