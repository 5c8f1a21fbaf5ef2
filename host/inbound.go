package host

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
)

// run executes a verified call. An error means that the instance did not accept it.
func (t *task) run(ctx context.Context, call *callsig.Call) (callsig.Return, error) {
	return t.runFor(ctx, call.Caller.String(), call)
}

// runFor executes a verified call of caller, as the function is to see who calls.
func (t *task) runFor(ctx context.Context, caller string, call *callsig.Call) (callsig.Return, error) {
	if call.Hops > maxHops {
		return callsig.Return{}, countersign.Errorf(countersign.CodeLoop, t.Function(), "more than %d hops", maxHops)
	}
	if err := t.begin(); err != nil {
		return callsig.Return{}, err
	}
	defer t.end()
	t.served.Begin()
	reply, err := t.execute(ctx, caller, call)
	t.served.End(countersign.CodeOf(err))
	return returnOf(reply, err), nil
}

// execute runs the function for at most the time that the caller and the spec give it.
func (t *task) execute(ctx context.Context, caller string, call *callsig.Call) ([]byte, error) {
	deadline := time.Now().Add(t.spec.Call.Timeout)
	if call.Deadline.Before(deadline) {
		deadline = call.Deadline
	}
	if time.Until(deadline) <= 0 {
		return nil, countersign.Errorf(countersign.CodeDeadline, t.Function(), "the deadline had passed when the call arrived")
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return t.runtime.Invoke(ctx, &countersign.Invocation{ID: call.ID, Caller: caller, Function: t.Function(),
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
