package host

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"countersign"
	"countersign/router"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// serveCall is the callee's side of a call from outside.
func (h *Host) serveCall(w http.ResponseWriter, r *http.Request) {
	t, err := h.opened(r.PathValue("function"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	body, err := readBody(w, r, t.Function(), t.spec.Call.MaxRequest)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	call, err := h.verifier.VerifyRequest(r, body, t.svid)
	if err != nil {
		h.refuse(w, r, refusal(t.Function(), err))
		return
	}
	if call.Call.Caller.Kind() != identity.KindClient {
		h.refuse(w, r, countersign.Errorf(countersign.CodeNotPermitted, t.Function(),
			"%s is a function: functions call each other through their own host", call.Call.Caller))
		return
	}
	ctx, hops := explain(r.Context())
	result, err := t.run(ctx, &call.Call)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if r.Header.Get(explainHeader) != "" {
		result.Explain = hops.encode()
	}
	answer, err := callsig.SignResponse(w.Header(), callsig.NewSigner(t.identity.Current()), call, result, time.Now())
	if err != nil {
		h.refuse(w, r, refusal(t.Function(), err))
		return
	}
	w.WriteHeader(answer.Return.Status)
	w.Write(answer.Return.Body)
}

// opened finds the instance for a call from outside, if the function's spec lets it be called from there.
func (h *Host) opened(function string) (*task, error) {
	choice, err := h.router.Route(&router.Query{Callee: function})
	if err != nil {
		if h.router.Standalone && !h.knows(function) {
			return nil, countersign.Errorf(countersign.CodeUnknownFunction, function, "no function of this name runs here")
		}
		return nil, err
	}
	t := choice.Local
	if t.spec.Ingress == nil || !t.spec.Ingress.HTTP {
		return nil, countersign.Errorf(countersign.CodeNotPermitted, function,
			"the function's spec has no ingress block with http = true: only functions may call it")
	}
	return t, nil
}

// run executes a verified call. An error means that the instance did not accept it.
func (t *task) run(ctx context.Context, call *callsig.Call) (callsig.Return, error) {
	if call.Hops > maxHops {
		return callsig.Return{}, countersign.Errorf(countersign.CodeLoop, t.Function(), "more than %d hops", maxHops)
	}
	if err := t.begin(); err != nil {
		return callsig.Return{}, err
	}
	defer t.end()
	t.served.Begin()
	reply, err := t.execute(ctx, call)
	t.served.End(countersign.CodeOf(err))
	return returnOf(reply, err), nil
}

// execute runs the function for at most the time that the caller and the spec give it.
func (t *task) execute(ctx context.Context, call *callsig.Call) ([]byte, error) {
	deadline := time.Now().Add(t.spec.Call.Timeout)
	if call.Deadline.Before(deadline) {
		deadline = call.Deadline
	}
	if time.Until(deadline) <= 0 {
		return nil, countersign.Errorf(countersign.CodeDeadline, t.Function(), "the deadline had passed when the call arrived")
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return t.runtime.Invoke(ctx, &countersign.Invocation{ID: call.ID, Caller: call.Caller.String(), Function: t.Function(),
		Traceparent: call.Traceparent, Hops: call.Hops, Deadline: deadline, Body: call.Body})
}

func (t *task) checkSize(n int64) error {
	if n > t.spec.Call.MaxRequest {
		return countersign.Errorf(countersign.CodeTooLarge, t.Function(),
			"the request has %d bytes, the function's spec allows %d (max_request)", n, t.spec.Call.MaxRequest)
	}
	return nil
}

// returnOf makes the return of a call that was executed.
func returnOf(reply []byte, err error) callsig.Return {
	if err == nil {
		return callsig.Return{Status: http.StatusOK, Body: reply}
	}
	p := problemOf(err)
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`)
	}
	return callsig.Return{Status: p.Status, Code: p.Code, Body: body}
}
