package host

import (
	"net/http"
	"time"

	"countersign"
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
	t, err := h.table.Pick(function)
	if err != nil {
		if !h.knows(function) {
			return nil, countersign.Errorf(countersign.CodeUnknownFunction, function, "no function of this name runs here")
		}
		return nil, err
	}
	if t.spec.Ingress == nil || !t.spec.Ingress.HTTP {
		return nil, countersign.Errorf(countersign.CodeNotPermitted, function,
			"the function's spec has no ingress block with http = true: only functions may call it")
	}
	return t, nil
}
