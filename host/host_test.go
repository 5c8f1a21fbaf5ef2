package host

import (
	"context"
	"errors"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/runtime"
)

// goFunction is a runtime that runs a Go function of the test.
type goFunction func(context.Context, *countersign.Invocation) ([]byte, error)

func (n goFunction) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	return n(ctx, in)
}
func (n goFunction) Usage() runtime.Usage        { return runtime.Usage{} }
func (n goFunction) Close(context.Context) error { return nil }

func running(n goFunction) func(*task) { return func(t *task) { t.runtime = n } }

var echo = goFunction(func(_ context.Context, in *countersign.Invocation) ([]byte, error) { return in.Body, nil })

// callAs makes a local call as a task's function would.
func callAs(t *task, hops int, callee, body string) ([]byte, error) {
	return outbound{t}.Call(context.Background(), &countersign.Invocation{Function: t.request.Function, Hops: hops}, callee, []byte(body))
}

func TestLocalCall(t *testing.T) {
	f := newFixture(t)
	var got *countersign.Invocation
	f.run("tax", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		got = in
		return []byte(`{"rate":7}`), nil
	}))
	quote := f.run("quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	reply, err := callAs(quote, 2, "tax", `{}`)
	if err != nil || string(reply) != `{"rate":7}` {
		t.Fatalf("reply %q, error %v", reply, err)
	}
	if got.Caller != "spiffe://"+trustDomain+"/function/quote" || got.Hops != 3 || got.Function != "tax" {
		t.Errorf("the function saw %+v", got)
	}
}

func TestLocalCallsThatFail(t *testing.T) {
	f := newFixture(t)
	spec := hclspec.Function{Calls: []string{"tax", "gone", "broken", "slow"}}
	quote := f.run("quote", spec, running(echo))
	f.run("tax", hclspec.Function{Call: hclspec.Call{Timeout: time.Second, MaxRequest: 8, MaxResponse: 8}}, running(echo))
	f.run("secret", hclspec.Function{}, running(echo))
	f.run("broken", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		return nil, countersign.Errorf(countersign.CodePanicked, "broken", "it panicked: %w", errors.New("with a secret"))
	}))
	f.run("slow", hclspec.Function{Call: hclspec.Call{Timeout: 50 * time.Millisecond, MaxRequest: 8, MaxResponse: 8}},
		running(func(ctx context.Context, _ *countersign.Invocation) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	for name, test := range map[string]struct {
		callee, body string
		hops         int
		want         countersign.Code
	}{
		"not in the caller's spec":  {"secret", "{}", 0, countersign.CodeNotPermitted},
		"no instance":               {"gone", "{}", 0, countersign.CodeUnavailable},
		"request too large":         {"tax", `"123456789"`, 0, countersign.CodeTooLarge},
		"in a circle":               {"tax", "{}", 16, countersign.CodeLoop},
		"the function fails":        {"broken", "{}", 0, countersign.CodePanicked},
		"the callee's time is over": {"slow", "{}", 0, countersign.CodeDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := callAs(quote, test.hops, test.callee, test.body)
			if got := countersign.CodeOf(err); got != test.want {
				t.Errorf("error %v; want code %s", err, test.want)
			}
		})
	}
	if _, err := callAs(quote, 0, "tax", "{}"); err != nil {
		t.Errorf("a good call after the bad ones: %v", err)
	}
}

// TestCallsWithForgedIdentity has an instance whose certificate another authority signed: nobody talks to it.
func TestCallsWithForgedIdentity(t *testing.T) {
	f, other := newFixture(t), newFixture(t)
	f.run("tax", hclspec.Function{}, running(echo))
	f.ca = other.ca
	quote := f.run("quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	if _, err := callAs(quote, 0, "tax", "{}"); countersign.CodeOf(err) != countersign.CodeUnverified {
		t.Errorf("error %v; want code unverified", err)
	}
}

func TestStopLetsRunningCallsEnd(t *testing.T) {
	f := newFixture(t)
	entered, leave := make(chan bool), make(chan bool)
	tax := f.run("tax", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		entered <- true
		<-leave
		return []byte(`"done"`), nil
	}))
	quote := f.run("quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	result := make(chan error, 1)
	go func() {
		_, err := callAs(quote, 0, "tax", "{}")
		result <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- f.host.Stop(context.Background(), tax.request.TaskID, 10*time.Second) }()
	for tax.instance.Accepts() {
		time.Sleep(time.Millisecond)
	}
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("the call that ran: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
	if s, _ := f.host.Status(tax.request.TaskID); s.State != control.Exited {
		t.Errorf("the task is %s after Stop", s.State)
	}
	if _, err := callAs(quote, 0, "tax", "{}"); countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Errorf("a call after Stop: %v; want code unavailable", err)
	}
	if err := f.host.Forget(tax.request.TaskID); err != nil {
		t.Errorf("Forget: %v", err)
	}
}

// patient is a runtime whose call goes on until Close ends it, as a runtime's calls do when Close's time is over.
type patient struct {
	goFunction
	ended chan struct{}
}

func (p patient) Close(ctx context.Context) error {
	<-ctx.Done()
	close(p.ended)
	return nil
}

// TestStopEndsCallsThatTakeTooLong gives a call that never ends less than a second.
func TestStopEndsCallsThatTakeTooLong(t *testing.T) {
	f := newFixture(t)
	entered, ended := make(chan bool), make(chan struct{})
	tax := f.run("tax", hclspec.Function{}, func(t *task) {
		t.runtime = patient{func(context.Context, *countersign.Invocation) ([]byte, error) {
			entered <- true
			<-ended
			return nil, countersign.Errorf(countersign.CodeUnavailable, "tax", "the instance was stopped")
		}, ended}
	})
	quote := f.run("quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	result := make(chan error, 1)
	go func() {
		_, err := callAs(quote, 0, "tax", "{}")
		result <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- f.host.Stop(context.Background(), tax.request.TaskID, 50*time.Millisecond) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("Stop: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Stop waits for a call whose time is over")
	}
	if err := <-result; countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Errorf("the call that was ended: %v; want code unavailable", err)
	}
}
