package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// arrival is one call from outside, on its way to an instance.
type arrival struct {
	in        *ingress
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
func (in *ingress) serveCall(w http.ResponseWriter, r *http.Request) {
	release, err := in.allow(r.PathValue("function"))
	if err != nil {
		in.refuse(w, r, err)
		return
	}
	defer release()
	a := &arrival{in: in, w: w, r: r}
	defer func() { in.bodies.Release(int64(len(a.body))) }()
	if err := a.serve(); err != nil {
		in.host.refused(in.host.named(r.PathValue("function")), telemetry.SideIngress, err)
		in.refuse(w, r, err)
	}
}

// serve answers the call, or returns why no instance took it.
func (a *arrival) serve() error {
	h, function := a.in.host, a.r.PathValue("function")
	var err error
	if a.callee, err = identity.FunctionID(h.config.TrustDomain, function); err != nil {
		return countersign.Errorf(countersign.CodeUnknownFunction, "", "%w", fmt.Errorf("no function: %w", err))
	}
	if a.forwarded, err = comesForwarded(a.r); err != nil {
		return err
	}
	next := a.in.route(function, a.r.Header.Get)
	if a.forwarded {
		next = h.routeForwarded(function, a.r.TLS.ServerName)
	}
	for tries := 0; ; tries++ {
		at, noPlace := next()
		switch {
		case noPlace != nil && tries == 0:
			return noPlace
		case noPlace != nil || tries == maxTries:
			return err
		}
		if at.task != nil {
			err = a.runHere(at.task)
		} else {
			err = a.passOn(at.target)
		}
		if !tryElsewhere(err) {
			return err
		}
	}
}

// maxTries bounds how many instances are asked for one call.
const maxTries = 3

// tryElsewhere tells whether another instance may take a call: this one did not, or the function is idempotent.
func tryElsewhere(err error) bool {
	var repeat *elsewhere
	return errors.As(err, &repeat) || countersign.CodeOf(err) == countersign.CodeUnavailable
}

// runHere verifies the call by the spec of an instance on this host, runs it and writes the return.
func (a *arrival) runHere(t *task) error {
	if t.spec.Ingress == nil || !t.spec.Ingress.HTTP {
		return countersign.Errorf(countersign.CodeNotPermitted, t.Function(),
			"the function's spec has no ingress block with http = true: only functions may call it")
	}
	if t.spec.Ingress.Auth == hclspec.AuthJWT {
		if err := a.verifyToken(t.spec.Call.MaxRequest); err != nil {
			return err
		}
		return a.runToken(t)
	}
	if err := a.verifySigned(t.spec.Call.MaxRequest); err != nil {
		return err
	}
	return a.runSigned(t)
}

// passOn verifies the call as far as that can be done without the function's spec, and forwards it.
func (a *arrival) passOn(to *target) error {
	verify := a.verifySigned
	if bearing(a.r) {
		verify = a.verifyToken
	}
	if err := verify(hclspec.MaxMessage); err != nil {
		return err
	}
	return a.in.forward.send(a, to)
}

// verifySigned verifies a signed call of a client, once: a nonce is good for one verification.
func (a *arrival) verifySigned(maxRequest int64) error {
	if err := a.readBody(maxRequest); err != nil || a.signed != nil {
		return err
	}
	verify := a.in.host.verifier.VerifyRequest
	if a.forwarded {
		verify = a.in.host.verifier.VerifyForwarded
	}
	call, err := verify(a.r, a.body, a.callee)
	if err != nil {
		return refusal(a.callee.Name(), err)
	}
	if call.Call.Caller.Kind() != identity.KindClient {
		return countersign.Errorf(countersign.CodeNotPermitted, a.callee.Name(),
			"%s is a function: functions call each other through their own host", call.Call.Caller)
	}
	a.signed = call
	return nil
}

// runSigned runs a verified call and writes its signed return.
func (a *arrival) runSigned(t *task) error {
	return a.run(t, a.signed.Call.Caller.String(), &a.signed.Call, func(signer callsig.Signer, ret callsig.Return) error {
		_, err := callsig.SignResponse(a.w.Header(), signer, a.signed, ret, time.Now())
		return err
	})
}

// run runs a verified call and writes the return that sign signed.
func (a *arrival) run(t *task, caller string, call *callsig.Call, sign func(callsig.Signer, callsig.Return) error) error {
	began := time.Now()
	ctx, hops := explain(a.r.Context())
	tm := a.in.host.telemetry
	ctx, span := tm.Start(ctx, call.Traceparent, telemetry.Server, t.Function(), telemetry.Caller(""),
		telemetry.Route(telemetry.RouteIngress), telemetry.Allocation(t.ID()), telemetry.Node(a.in.host.node))
	call.Traceparent = span.Traceparent()
	result, err := t.runFor(ctx, caller, call)
	code := result.Code
	if err != nil {
		code = countersign.CodeOf(err)
	}
	span.End(code)
	tm.Edge("", t.Function(), telemetry.RouteIngress).Done(code, time.Since(began))
	if err != nil {
		return err
	}
	if a.r.Header.Get(explainHeader) != "" {
		result.Explain = hops.encode()
	}
	if err := sign(callsig.NewSigner(t.identity.Current()), result); err != nil {
		return refusal(t.Function(), err)
	}
	if a.forwarded && t.spec.Call.Idempotent {
		a.w.Header().Set(idempotentHeader, "?1")
	}
	setWriteDeadline(a.w)
	a.w.WriteHeader(result.Status)
	// A client that is gone is told by nobody.
	_, _ = a.w.Write(result.Body)
	return nil
}

// readBody reads the request's body of at most max bytes, once.
func (a *arrival) readBody(max int64) error {
	function := a.callee.Name()
	tooLarge := countersign.Errorf(countersign.CodeTooLarge, function,
		"the request is larger than the %d bytes that the function's spec allows (max_request)", max)
	if a.r.ContentLength > max || int64(len(a.body)) > max {
		return tooLarge
	}
	if a.read {
		return nil
	}
	a.read = true
	var body bytes.Buffer
	from := &metered{from: http.MaxBytesReader(a.w, a.r.Body, max), bodies: a.in.bodies}
	_, err := io.Copy(&body, from)
	a.body = body.Bytes() // released by its length, whatever happened
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge
	case errors.Is(err, errNoRoom):
		return countersign.Errorf(countersign.CodeOverloaded, function, "this node holds as much of requests as it can; try again")
	case err != nil:
		return countersign.Errorf(countersign.CodeBadRequest, function, "the request could not be read: %w", fmt.Errorf("%w", err))
	}
	return nil
}

// errNoRoom says that the bodies of requests take all the memory that they may.
var errNoRoom = errors.New("no room for a request body")

// metered takes the bytes that it reads from what bodies may have in memory.
type metered struct {
	from   io.Reader
	bodies interface{ TryAcquire(int64) bool }
}

// Read implements io.Reader.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	if n > 0 && !m.bodies.TryAcquire(int64(n)) {
		return 0, errNoRoom
	}
	return n, err
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
