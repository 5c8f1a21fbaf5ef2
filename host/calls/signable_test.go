package calls

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/router"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

// runtimeFunc is a runtime that runs a Go function of the test.
type runtimeFunc func(context.Context, *countersign.Invocation) ([]byte, error)

func (f runtimeFunc) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	return f(ctx, in)
}

// waits is a function that takes d, unless it is stopped.
func waits(d time.Duration, runs *atomic.Int32) runtimeFunc {
	return func(ctx context.Context, _ *countersign.Invocation) ([]byte, error) {
		runs.Add(1)
		select {
		case <-time.After(d):
			return []byte("answered"), nil
		case <-ctx.Done():
			return nil, countersign.Errorf(countersign.CodeCanceled, "tax", "stopped")
		}
	}
}

// renewable is an instance whose certificate a test replaces.
type renewable struct {
	*Instance
	self atomic.Pointer[identity.Identity]
}

// certify gives it a certificate for the time that follows.
func (r *renewable) certify(t *testing.T, ca *identitytest.Authority, life time.Duration) {
	t.Helper()
	_, self := ca.Certify(t, functionID(t, r.Function()), time.Now().Add(-time.Minute), time.Now().Add(life))
	r.self.Store(self)
}

// here makes an instance on the caller's own host, whose certificate ends after life.
func (c *caller) here(function string, life time.Duration, run runtimeFunc) *renewable {
	c.t.Helper()
	r := new(renewable)
	r.Instance = c.node.Prepare(InstanceConfig{Allocation: function + "-here", SVID: functionID(c.t, function), Identity: r.self.Load,
		Spec: &hclspec.Function{Name: function, Calls: []string{"tax"}, Call: hclspec.Call{Timeout: time.Hour, MaxRequest: 64, MaxResponse: 1 << 10}}})
	r.certify(c.t, c.ca, life)
	c.node.Add(r.Instance, run)
	return r
}

// TestCallsEndBeforeTheirKey runs calls whose instance's certificate ends, with the clock of a bubble.
func TestCallsEndBeforeTheirKey(t *testing.T) {
	for name, test := range map[string]struct {
		life, takes, renewed time.Duration // of the certificate; of the call; after which a new certificate is there
		executed             bool
		code                 countersign.Code
	}{
		"long enough":          {time.Hour / 2, time.Minute, 0, true, ""},
		"has ended":            {-time.Second, time.Minute, 0, false, countersign.CodeUnavailable},
		"about to end":         {signingMargin, time.Minute, 0, false, countersign.CodeUnavailable},
		"ends during the call": {time.Minute, 2 * time.Minute, 0, true, countersign.CodeInternal},
		"ends after the call":  {time.Minute, time.Minute - 2*signingMargin, 0, true, ""},
		"renewed in time":      {time.Minute, 2 * time.Minute, 30 * time.Second, true, ""},
		"renewed too late":     {time.Minute, 2 * time.Minute, 61 * time.Second, true, countersign.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				c := newCaller(t)
				tax := c.here("tax", test.life, waits(test.takes, &runs))
				if test.renewed > 0 {
					time.AfterFunc(test.renewed, func() { tax.certify(t, c.ca, time.Hour) })
				}
				began := time.Now()
				ret, err := tax.Run(t.Context(), "someone", &callsig.Call{Callee: tax.config.SVID, Deadline: began.Add(time.Hour)})
				code := ret.Code
				if err != nil {
					code = countersign.CodeOf(err)
				}
				if code != test.code || (runs.Load() == 1) != test.executed || (err == nil) != test.executed {
					t.Errorf("%+v, %v, executed %d times; want %q", ret, err, runs.Load(), test.code)
				}
				if test.code == countersign.CodeInternal && !time.Now().Before(began.Add(test.life)) {
					t.Error("it was stopped after the certificate had ended")
				}
			})
		})
	}
}

// TestSessionsOutliveCalls makes calls within a host that take longer than the session that is there, or than any.
func TestSessionsOutliveCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		c := newCaller(t)
		takes := time.Second
		quote := c.here("quote", 90*time.Minute, nil)
		tax := c.here("tax", 3*time.Hour, func(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
			return waits(takes, &runs)(ctx, in)
		})
		c.node.Router.Update(router.Snapshot{Intentions: []router.Intention{{Source: "quote", Destination: "tax", Allow: true}}})
		call := func() error {
			_, err := quote.Call(t.Context(), &countersign.Invocation{Function: "quote"}, "tax", []byte(`{}`))
			return err
		}
		must(t, call())
		first := c.node.sessions.pairs[pair{quote.ID(), tax.ID()}]
		must(t, call())
		if again := c.node.sessions.pairs[pair{quote.ID(), tax.ID()}]; again != first {
			t.Error("each call makes a session")
		}
		time.Sleep(50 * time.Minute) // 10 minutes of the session are left
		takes = 30 * time.Minute
		if err := call(); err != nil {
			t.Errorf("a call that takes longer than the session that was there: %v", err)
		}
		// 10 minutes of the caller's certificate are left, and nobody renews it.
		runs.Store(0)
		if err := call(); countersign.CodeOf(err) != countersign.CodeInternal || runs.Load() != 1 ||
			!strings.Contains(err.Error(), "was stopped") {
			t.Errorf("a call that takes longer than any session: %v, executed %d times; want that it was stopped", err, runs.Load())
		}
		time.Sleep(2 * signingMargin)
		runs.Store(0)
		if err := call(); err == nil || runs.Load() != 0 {
			t.Errorf("once the caller's certificate has ended: %v, executed %d times", err, runs.Load())
		}
		quote.certify(t, c.ca, time.Hour)
		if err := call(); err != nil {
			t.Errorf("once it is renewed: %v", err)
		}
	})
}

// TestUnsignableReturnsWithinAHost has a function whose failure has a code that no return can carry.
func TestUnsignableReturnsWithinAHost(t *testing.T) {
	c := newCaller(t)
	quote := c.here("quote", time.Hour, nil)
	c.here("tax", time.Hour, func(context.Context, *countersign.Invocation) ([]byte, error) {
		return nil, countersign.Errorf("not a code", "tax", "odd")
	})
	c.node.Router.Update(router.Snapshot{Intentions: []router.Intention{{Source: "quote", Destination: "tax", Allow: true}}})
	_, err := quote.Call(t.Context(), &countersign.Invocation{Function: "quote"}, "tax", []byte(`{}`))
	var signature *callsig.Error
	if countersign.CodeOf(err) != countersign.CodeInternal || errors.As(err, &signature) {
		t.Errorf("%v; want a signed error", err)
	}
}
