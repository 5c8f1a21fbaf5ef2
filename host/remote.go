package host

import (
	"context"
	"errors"

	"countersign"
	"countersign/host/link"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// remote makes the call to an instance of another host.
func (h *hop) remote(ctx context.Context, choice *router.Choice[*task]) ([]byte, error) {
	callee, err := identity.FunctionID(h.host.config.TrustDomain, choice.Function)
	if err != nil {
		return nil, countersign.Errorf(countersign.CodeInternal, h.callee, "naming the callee: %w", err)
	}
	to := choice.Remote
	if explaining(ctx) {
		ctx = link.Explain(ctx)
	}
	to.Begin()
	answer, err := h.host.links.Call(ctx, linkCaller{h.from}, link.Target{Address: to.Address, Allocation: to.Allocation,
		Function: callee, ConnectTimeout: choice.Policy.ConnectTimeout}, func(terms link.Terms) callsig.Call {
		return h.message(ctx, callee, terms.Timeout, choice.Policy)
	})
	h.judge(to, err)
	if err != nil {
		return nil, h.failure(err)
	}
	h.explain(ctx, answer.Call, answer.Return)
	explainBelow(ctx, answer.Return.Return.Explain)
	return replyOf(h.callee, &answer.Return.Return)
}

// judge tells the router what an attempt says about the endpoint.
func (h *hop) judge(to *router.Endpoint, err error) {
	var unreachable *link.UnreachableError
	var refused *link.RefusedError
	before := to.Ejected()
	switch {
	case errors.As(err, &unreachable):
		to.EndUnreachable()
	case errors.As(err, &refused):
		to.End(refused.Code == countersign.CodeUnavailable)
	case countersign.CodeOf(err) == countersign.CodeCanceled:
		to.EndUnknown()
	default:
		to.End(err != nil)
	}
	if to.Ejected() && !before {
		h.host.telemetry.Ejected(h.callee)
		h.host.log.Warn("an instance is left alone for a while", "function", h.callee, "allocation", to.Allocation,
			"node", to.Node, "address", to.Address, "error", err)
	}
}

// failure turns the error of a link into that of the call, and tells whether another instance may be tried.
func (h *hop) failure(err error) error {
	var unreachable *link.UnreachableError
	var refused *link.RefusedError
	switch {
	case errors.As(err, &unreachable):
		failed := &countersign.CallError{Code: countersign.CodeUnavailable, Function: h.callee,
			Reason: "the instance's host can't be reached", Err: err}
		if unreachable.Sent { // unavailable would say that nothing was executed
			failed.Code = countersign.CodeInternal
			failed.Reason = "the instance's host went away during the call, which may have been executed"
		}
		if !unreachable.Sent || unreachable.Idempotent {
			return &elsewhere{failed}
		}
		return failed
	case errors.As(err, &refused):
		failed := &countersign.CallError{Code: refused.Code, Function: h.callee, Reason: refused.Reason, Err: err}
		// Nothing was executed. Another instance may have room, or not be stopping.
		if refused.Code == countersign.CodeUnavailable || refused.Code == countersign.CodeOverloaded {
			return &elsewhere{failed}
		}
		return failed
	}
	var signature *callsig.Error
	if errors.As(err, &signature) {
		h.host.refused(h.callee, telemetry.SideCaller, err)
		return refusal(h.callee, err)
	}
	return err
}

// linkCaller is a task at the calling end of a link.
type linkCaller struct{ task *task }

// ID implements link.Caller.
func (c linkCaller) ID() string { return c.task.ID() }

// Identity implements link.Caller.
func (c linkCaller) Identity() *identity.Identity { return c.task.identity.Current() }

// linkCallee is a task at the serving end of a link.
type linkCallee struct{ task *task }

// callee finds the instance that a link is for.
func (h *Host) callee(allocation, function string) link.Callee {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tasks {
		if t.ID() == allocation && t.Function() == function && t.running() {
			return linkCallee{t}
		}
	}
	return nil
}

// Identity implements link.Callee.
func (c linkCallee) Identity() *identity.Identity { return c.task.identity.Current() }

// Terms implements link.Callee: what the callee's attested spec says about calls.
func (c linkCallee) Terms() link.Terms {
	call := c.task.spec.Call
	return link.Terms{Timeout: call.Timeout, Idempotent: call.Idempotent, MaxRequest: call.MaxRequest,
		MaxResponse: call.MaxResponse, Release: c.task.release()}
}

// Permit implements link.Callee. The caller's host has asked Consul's intentions as well, but a node that somebody took
// over would not.
func (c linkCallee) Permit(caller identity.ID) error {
	name, ok := caller.Function()
	if !ok {
		return countersign.Errorf(countersign.CodeNotPermitted, c.task.Function(), "%s is not a function", caller)
	}
	return c.task.host.router.Permitted(name, c.task.Function())
}

// Run implements link.Callee.
func (c linkCallee) Run(ctx context.Context, call *callsig.Call) (callsig.Return, error) {
	if err := c.task.checkSize(int64(len(call.Body))); err != nil {
		return callsig.Return{}, err
	}
	if !link.Explained(ctx) {
		return c.task.run(ctx, call)
	}
	ctx, hops := explain(ctx)
	result, err := c.task.run(ctx, call)
	result.Explain = hops.encode()
	return result, err
}
