// Package contract is the test that every runtime has to pass: what host/runtime promises, on one guest that is built for
// each of them.
//
// It owns the guest (testdata/guest) and the cases. It must not know the runtimes: their own tests call it.
package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// Start starts the guest of testdata/guest. What it returns is closed by the test.
type Start func(testing.TB, runtime.Options) runtime.Instance

const (
	caller   = "spiffe://countersign.local/client/test"
	memory   = 64 << 20
	maxReply = 1 << 20
	// long is more than a call takes on a busy machine, and short is a deadline that is to pass.
	long  = time.Minute
	short = 200 * time.Millisecond
)

// Test runs all cases on the instances that start makes.
func Test(t *testing.T, start Start) {
	begin := func(t *testing.T, o runtime.Options) *instance {
		o.Function, o.Memory, o.MaxReply = "guest", memory, maxReply
		in := &instance{Instance: start(t, o), t: t}
		t.Cleanup(in.end)
		return in
	}
	for name, test := range map[string]func(*testing.T, func(*testing.T, runtime.Options) *instance){
		"endings": testEndings, "deadlines": testDeadlines, "reply size": testReplySize, "places": testPlaces,
		"calls": testCalls, "no calls": testNoCalls, "output": testOutput, "close waits": testCloseWaits,
		"close stops": testCloseStops,
	} {
		t.Run(name, func(t *testing.T) { test(t, begin) })
	}
}

// instance is a runtime.Instance under test.
type instance struct {
	runtime.Instance
	t *testing.T
}

// end closes the instance, and looks at what is left.
func (in *instance) end() {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	for range 2 {
		if err := in.Close(ctx); err != nil {
			in.t.Error(err)
		}
	}
	_, err := in.do(long, request{})
	in.want(err, countersign.CodeUnavailable, "being stopped")
	u := in.Usage()
	if u.MemoryBytes != 0 || u.Sandboxes != 0 || u.InFlight != 0 || u.Failures > u.Calls {
		in.t.Errorf("after the end its use is %+v", u)
	}
}

// request and reply are those of the guest.
type request struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
	Size int    `json:"size,omitempty"`
}

type reply struct {
	Text    string           `json:"text"`
	Caller  string           `json:"caller"`
	Code    countersign.Code `json:"code"`
	Message string           `json:"message"`
}

func invocation(r request) *countersign.Invocation {
	body, _ := json.Marshal(r) // of strings and a number: it can't fail
	return &countersign.Invocation{ID: "test", Caller: caller, Function: "guest", Body: body}
}

func (in *instance) do(timeout time.Duration, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return in.Invoke(ctx, invocation(r))
}

// mustDo returns the reply of a call that has to work.
func (in *instance) mustDo(r request) (got reply) {
	in.t.Helper()
	body, err := in.do(long, r)
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	if err != nil {
		in.t.Fatalf("%+v: %v", r, err)
	}
	return got
}

// want checks how a call failed: every error is a *countersign.CallError of the function.
func (in *instance) want(err error, code countersign.Code, reason string) {
	in.t.Helper()
	failure, ok := err.(*countersign.CallError)
	if !ok || failure.Code != code || failure.Function != "guest" || !strings.Contains(failure.Reason, reason) {
		in.t.Errorf("got %v, want code %s with %q", err, code, reason)
	}
}

// other is the Caller of the guest.
type other func(ctx context.Context, request string) ([]byte, error)

func (f other) Call(ctx context.Context, parent *countersign.Invocation, callee string, body []byte) ([]byte, error) {
	if parent.ID != "test" || parent.Caller != caller || callee != "other" {
		return nil, fmt.Errorf("a call of %s in the name of %+v", callee, parent)
	}
	var text string
	if err := json.Unmarshal(body, &text); err != nil {
		return nil, err
	}
	return f(ctx, text)
}

// announcing is a Caller that says that the guest runs.
func announcing(running chan<- struct{}) other {
	return func(context.Context, string) ([]byte, error) {
		running <- struct{}{}
		return []byte(`""`), nil
	}
}

func testCalls(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	in := begin(t, runtime.Options{Limits: limits.Limits{Concurrency: 2}, Caller: other(
		func(_ context.Context, text string) ([]byte, error) {
			switch text {
			case "refuse":
				return nil, &countersign.CallError{Code: countersign.CodeNotPermitted, Function: "other", Reason: "no",
					Err: errors.New("secret of the callee")}
			case "break":
				return nil, errors.New("secret of the platform")
			}
			return json.Marshal(text + "!")
		})})
	for _, tt := range []struct {
		text string
		want reply
	}{
		{"hello", reply{Text: "hello!"}},
		{"refuse", reply{Code: countersign.CodeNotPermitted, Message: "no"}},
		{"break", reply{Code: countersign.CodeInternal, Message: "the call could not be made"}},
	} {
		if got := in.mustDo(request{Do: "call", Text: tt.text}); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func testNoCalls(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	got := begin(t, runtime.Options{}).mustDo(request{Do: "call"})
	if got.Code != countersign.CodeNotPermitted || got.Message != "calls are not possible here" {
		t.Errorf("got %+v", got)
	}
}
