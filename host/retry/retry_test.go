package retry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/router"
	"countersign/telemetry"
)

// told is a record that notes what it is told.
type told struct {
	what    string
	ejected bool
}

func (r *told) Begin() {}
func (r *told) End(failed bool) {
	r.what = "answered"
	if failed {
		r.what = "failed"
	}
}
func (r *told) EndUnreachable() { r.what, r.ejected = "unreachable", true }
func (r *told) EndUnknown()     { r.what = "unknown" }
func (r *told) Ejected() bool   { return r.ejected }

func newPolicy(t *testing.T, log *strings.Builder) *Policy {
	t.Helper()
	tm, err := telemetry.New(t.Context(), telemetry.Config{Node: "node"})
	if err != nil {
		t.Fatal(err)
	}
	return &Policy{Telemetry: tm, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func failure(kind Kind, idempotent bool, code countersign.Code) *Failure {
	return &Failure{Kind: kind, Idempotent: idempotent, Err: countersign.Errorf(code, "tax", "as the test wants")}
}

// TestPolicy has each way in which an attempt ends, for a function that may be executed twice and one that may not.
func TestPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		kind            Kind
		code            countersign.Code
		elsewhere, idem bool // may another instance be tried?
		told            string
	}{
		"not connected":         {Unreachable, countersign.CodeUnavailable, true, true, "unreachable"},
		"broken after sending":  {Lost, countersign.CodeInternal, false, true, "unreachable"},
		"refused: stopping":     {Refused, countersign.CodeUnavailable, true, true, "failed"},
		"refused: no room":      {Refused, countersign.CodeOverloaded, true, true, "answered"},
		"refused: a misfit":     {Refused, countersign.CodeInterfaceMismatch, true, true, "answered"},
		"refused: not allowed":  {Refused, countersign.CodeNotPermitted, false, false, "answered"},
		"refused: a circle":     {Refused, countersign.CodeLoop, false, false, "answered"},
		"no answer in time":     {Unanswered, countersign.CodeDeadline, false, false, "failed"},
		"a forged answer":       {Unanswered, countersign.CodeUnverified, false, false, "failed"},
		"given up":              {Canceled, countersign.CodeCanceled, false, false, "unknown"},
		"never left this host":  {Withheld, countersign.CodeTooLarge, false, false, "unknown"},
		"no certificate of own": {Withheld, countersign.CodeUnavailable, false, false, "unknown"},
	} {
		for _, idempotent := range []bool{false, true} {
			want := test.elsewhere
			if idempotent {
				want = test.idem
			}
			f, r, log := failure(test.kind, idempotent, test.code), new(told), new(strings.Builder)
			if got := f.Elsewhere(); got != want {
				t.Errorf("%s, idempotent %v: elsewhere %v; want %v", name, idempotent, got, want)
			}
			newPolicy(t, log).Settle("tax", Target{Allocation: "tax-a", Record: r}, f)
			if r.what != test.told {
				t.Errorf("%s: the router is told %q; want %q", name, r.what, test.told)
			}
			if warned := strings.Contains(log.String(), "ejected") && strings.Contains(log.String(), "tax-a"); warned != r.ejected {
				t.Errorf("%s: ejected %v, and the log says %q", name, r.ejected, log)
			}
		}
	}
	r := new(told)
	newPolicy(t, new(strings.Builder)).Settle("tax", Target{Record: r}, nil)
	if r.what != "answered" {
		t.Errorf("after an answer the router is told %q", r.what)
	}
}

func TestDo(t *testing.T) {
	again, final := failure(Unreachable, false, countersign.CodeUnavailable), failure(Lost, false, countersign.CodeInternal)
	misfit := failure(Refused, false, countersign.CodeInterfaceMismatch)
	noPlace, other := errors.New("no place"), errors.New("verification failed")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		limits *router.Policy
		places int
		ends   []error // how the attempts end, the last of them all that follow
		want   error
		tries  int
	}{
		"answered":               {t.Context(), nil, 9, []error{nil}, nil, 1},
		"answered elsewhere":     {t.Context(), nil, 9, []error{again, nil}, nil, 2},
		"by default":             {t.Context(), nil, 99, []error{again}, again.Err, 1 + router.DefaultRetries},
		"num_retries":            {t.Context(), &router.Policy{Retries: 7}, 99, []error{again}, again.Err, 8},
		"no retries":             {t.Context(), &router.Policy{}, 99, []error{again}, again.Err, 1},
		"misfits cost no try":    {t.Context(), &router.Policy{}, 9, []error{misfit, misfit, misfit, nil}, nil, 4},
		"misfits and failures":   {t.Context(), &router.Policy{Retries: 1}, 9, []error{misfit, again, misfit, again}, again.Err, 4},
		"nothing but misfits":    {t.Context(), nil, 5, []error{misfit}, misfit.Err, 5},
		"misfits without end":    {t.Context(), nil, 99, []error{misfit}, misfit.Err, 1 + maxMisfits},
		"may have been executed": {t.Context(), nil, 9, []error{final}, final.Err, 1},
		"not a failure":          {t.Context(), nil, 9, []error{other}, other, 1},
		"no place at all":        {t.Context(), nil, 0, []error{nil}, noPlace, 0},
		"no further place":       {t.Context(), nil, 2, []error{again}, again.Err, 2},
		"given up meanwhile":     {canceled, nil, 9, []error{again}, again.Err, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			next := func() (int, *router.Policy, error) {
				if tries == test.places {
					return 0, nil, noPlace
				}
				return tries, test.limits, nil
			}
			err := Do(test.ctx, newPolicy(t, new(strings.Builder)), "tax", next, func(_ int, limits *router.Policy) error {
				if limits != test.limits {
					t.Errorf("the attempt gets the limits %+v", limits)
				}
				tries++
				return test.ends[min(tries, len(test.ends))-1]
			})
			if err != test.want || tries != test.tries {
				t.Errorf("%v after %d tries; want %v after %d", err, tries, test.want, test.tries)
			}
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	for want, limits := range map[time.Duration]*router.Policy{
		router.DefaultConnectTimeout: nil, 3 * time.Second: {ConnectTimeout: 3 * time.Second},
	} {
		if got := ConnectTimeout(limits); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
}
