package ingress

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// arrival is one call from outside, on its way to an instance.
type arrival struct {
	in        *Server
	w         http.ResponseWriter
	r         *http.Request
	callee    identity.ID
	forwarded bool   // by another node, which verified it, too
	body      []byte // read once
	read      bool

	signed *callsig.SignedCall // the verified call of a client that signs, or
	token  *tokenCall          // of one with a bearer token
}

// serveCall answers a call from outside: route, verify, and run it here or pass it on to where it runs.
func (in *Server) serveCall(w http.ResponseWriter, r *http.Request) {
	a := &arrival{in: in, w: w, r: r}
	var err error
	if a.forwarded, err = comesForwarded(r); err == nil {
		var release func()
		if release, err = in.allow(r.PathValue("function"), r.RemoteAddr, a.forwarded); err != nil {
			in.refuse(w, r, err)
			return
		}
		defer release()
		defer func() { in.bodies.give(int64(len(a.body)), a.forwarded) }()
		err = a.serve()
	}
	if err != nil {
		in.node.Refused(r.PathValue("function"), telemetry.SideIngress, err)
		in.refuse(w, r, err)
	}
}

// serve answers the call, or returns why no instance took it.
func (a *arrival) serve() error {
	function := a.r.PathValue("function")
	var err error
	if a.callee, err = identity.FunctionID(a.in.config.TrustDomain, function); err != nil {
		return countersign.Errorf(countersign.CodeUnknownFunction, "", "%w", fmt.Errorf("no function: %w", err))
	}
	var next nextFunc
	if a.forwarded {
		next = a.in.routeForwarded(function, a.r.TLS.ServerName)
	} else {
		next = a.in.route(function, a.r.Header.Get)
	}
	return retry.Do(a.r.Context(), &a.in.retry, function, next, a.attempt)
}

// attempt has the call answered by one instance.
func (a *arrival) attempt(at place, limits *router.Policy) error {
	if at.instance != nil {
		return a.runHere(at.instance)
	}
	return a.passOn(at.target, limits)
}

// runHere verifies the call by the spec of an instance on this host, runs it and writes the return.
func (a *arrival) runHere(at *calls.Instance) error {
	spec := at.Spec()
	if spec.Ingress == nil || !spec.Ingress.HTTP {
		return countersign.Errorf(countersign.CodeNotPermitted, at.Function(),
			"the function's spec has no ingress block with http = true: only functions may call it")
	}
	if spec.Ingress.Auth == hclspec.AuthJWT {
		if err := a.verifyToken(spec.Call.MaxRequest); err != nil {
			return err
		}
		return a.runToken(at)
	}
	if err := a.verifySigned(spec.Call.MaxRequest); err != nil {
		return err
	}
	return a.runSigned(at)
}

// passOn verifies the call as far as that can be done without the function's spec, and forwards it.
func (a *arrival) passOn(to retry.Target, limits *router.Policy) error {
	verify := a.verifySigned
	if bearing(a.r) {
		verify = a.verifyToken
	}
	if err := verify(hclspec.MaxMessage); err != nil {
		return err
	}
	return a.in.forward.send(a, to, limits)
}

// run runs a verified call and writes the return that sign signed.
func (a *arrival) run(at *calls.Instance, caller string, call *callsig.Call, sign func(callsig.Signer, callsig.Return) error) error {
	began := time.Now()
	ctx, explanation := a.r.Context(), (*calls.Explanation)(nil)
	if call.Explain {
		ctx, explanation = calls.Explain(ctx)
	}
	tm := a.in.config.Telemetry
	ctx, span := tm.Start(ctx, call.Traceparent, telemetry.Server, at.Function(), telemetry.Caller(""),
		telemetry.Route(telemetry.RouteIngress), telemetry.Allocation(at.ID()), telemetry.Node(a.in.config.Bind))
	call.Traceparent = span.Traceparent()
	result, err := at.Run(ctx, caller, call)
	code := result.Code
	if err != nil {
		code = countersign.CodeOf(err)
	}
	span.End(code)
	tm.Edge("", at.Function(), telemetry.RouteIngress).Done(code, time.Since(began))
	if err != nil {
		return &retry.Failure{Kind: retry.Refused, Err: err}
	}
	if explanation != nil {
		result.Explain = explanation.Encode()
	}
	signer := callsig.NewSigner(at.Identity())
	if err := sign(signer, result); err != nil {
		a.in.log.Error("a return could not be signed", "function", at.Function(), "allocation", at.ID(), "error", err)
		result = problem.Unsigned(at.Function())
		if err := sign(signer, result); err != nil {
			return problem.Unanswerable(at.Function(), err)
		}
	}
	if a.forwarded && at.Spec().Call.Idempotent {
		a.w.Header().Set(idempotentHeader, "?1")
	}
	setWriteDeadline(a.w)
	a.w.WriteHeader(result.Status)
	// A client that is gone is told by nobody.
	_, _ = a.w.Write(result.Body)
	return nil
}

// deadlineOf is when a verified call is to be given up; zero if it does not say.
func (a *arrival) deadlineOf() time.Time {
	if a.signed != nil {
		return a.signed.Call.Deadline
	}
	return a.token.call.Deadline
}

// untilDeadline returns a context that ends at most grace after the call's deadline.
func (a *arrival) untilDeadline(grace time.Duration) (context.Context, context.CancelFunc) {
	deadline := time.Now().Add(hclspec.MaxTimeout)
	if own := a.deadlineOf(); !own.IsZero() && own.Before(deadline) {
		deadline = own
	}
	return context.WithDeadline(a.r.Context(), deadline.Add(grace))
}
