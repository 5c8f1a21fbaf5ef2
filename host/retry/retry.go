// Package retry is the one policy of calls to instances of other hosts, whoever makes them: a function of this host by
// link, or a client from outside whose call is passed on. docs/routing.md, "Retries" and "Ejection", describes it.
//
// It owns after which failures another instance is tried, how often, how long a connection may take to be made, and
// what an attempt tells the router about the instance. It must not know how a call is signed or carried, nor how the
// router chooses.
package retry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"countersign"
	"countersign/router"
	"countersign/telemetry"
)

// maxMisfits is how many further instances may be tried because an interface did not fit.
const maxMisfits = 8

// Kind is how an attempt failed.
type Kind int

// The kinds of failures.
const (
	// Unreachable: no connection to the instance could be made, so nothing was sent.
	Unreachable Kind = iota + 1
	// Lost: the connection ended after the call was sent. It may have been executed.
	Lost
	// Refused: the instance's host refused the call with the code of the error. Nothing was executed.
	Refused
	// Unanswered: there was no verified answer in time.
	Unanswered
	// Canceled: who made the call gave it up.
	Canceled
	// Withheld: this host itself kept the call from being sent.
	Withheld
)

// Failure is a failed attempt to have a call answered by one instance.
type Failure struct {
	Kind       Kind
	Idempotent bool  // the callee's spec says that a call may be executed twice
	Err        error // what the call fails with if no other instance answers it
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the error of the call.
func (f *Failure) Unwrap() error { return f.Err }

// Elsewhere tells whether another instance may be tried: nothing was executed and another one may do better, or the
// call may be executed twice.
func (f *Failure) Elsewhere() bool {
	switch f.Kind {
	case Unreachable:
		return true
	case Lost:
		return f.Idempotent
	case Refused: // another instance may have room, not be stopping, or be of a release that fits
		switch countersign.CodeOf(f.Err) {
		case countersign.CodeUnavailable, countersign.CodeOverloaded, countersign.CodeInterfaceMismatch:
			return true
		}
	}
	return false
}

// ConnectTimeout is how long making a connection, handshake included, may take.
func ConnectTimeout(limits *router.Policy) time.Duration {
	if limits == nil || limits.ConnectTimeout <= 0 {
		return router.DefaultConnectTimeout
	}
	return limits.ConnectTimeout
}

// retries is how many further instances may be tried.
func retries(limits *router.Policy) int {
	if limits == nil {
		return router.DefaultRetries
	}
	return limits.Retries
}

// Record is what the router remembers of an instance; see router.Endpoint, which is one.
type Record interface {
	Begin()
	End(failed bool)
	EndUnreachable()
	EndUnknown()
	Ejected() bool
}

// Target is an instance of another host.
type Target struct {
	Allocation string
	Node       string
	Address    string // host:port of its host
	Record     Record
}

// TargetOf is the target that the router chose.
func TargetOf(e *router.Endpoint) Target {
	return Target{Allocation: e.Allocation, Node: e.Node, Address: e.Address, Record: e}
}

// Policy carries the policy out, and tells in metrics and the log what it did.
type Policy struct {
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger
}

// Do makes a call of function. next names the place to try next, none twice, with the limits that the config entries
// set; attempt tries it. A *Failure of attempt leads to the next place while the policy allows it; any other result is
// that of the call. If there is no further place, the failure at the last one says more than that. That an interface does
// not fit is no try that the policy counts: it says nothing of the instance, and while releases with other interfaces are
// rolled out it happens once for each.
func Do[P any](ctx context.Context, p *Policy, function string, next func() (P, *router.Policy, error), attempt func(P, *router.Policy) error) error {
	var failed *Failure
	for tries, misfits := 0, 0; ; {
		place, limits, err := next()
		switch {
		case err != nil && failed != nil:
			return failed.Err
		case err != nil:
			return err
		}
		if failed != nil {
			p.Telemetry.Retried(function, string(countersign.CodeOf(failed.Err)))
		}
		if err = attempt(place, limits); err == nil {
			return nil
		}
		var this *Failure
		if !errors.As(err, &this) {
			return err
		}
		failed = this
		more := tries < retries(limits)
		if countersign.CodeOf(failed.Err) == countersign.CodeInterfaceMismatch {
			more = misfits < maxMisfits
			misfits++
		} else {
			tries++
		}
		if !more || !failed.Elsewhere() || ctx.Err() != nil {
			return failed.Err
		}
	}
}

// Begin notes that a call to an instance is under way. Settle must follow.
func (t Target) Begin() { t.Record.Begin() }

// Settle ends what Begin began: it tells the router what the attempt says about the instance. A nil failure is a
// verified answer, whatever it says.
func (p *Policy) Settle(function string, to Target, failed *Failure) {
	before := to.Record.Ejected()
	tell(to.Record, failed)
	if before || !to.Record.Ejected() {
		return
	}
	p.Telemetry.Ejected(function)
	p.Log.Warn("an instance is ejected: no calls go to it for a while", "function", function, "allocation", to.Allocation,
		"node", to.Node, "address", to.Address, "error", failed.Err)
}

func tell(r Record, failed *Failure) {
	if failed == nil {
		r.End(false)
		return
	}
	switch failed.Kind {
	case Unreachable, Lost:
		r.EndUnreachable()
	case Refused: // an answer, but for one that has no instance behind it
		r.End(countersign.CodeOf(failed.Err) == countersign.CodeUnavailable)
	case Canceled, Withheld:
		r.EndUnknown()
	default:
		r.End(true)
	}
}
