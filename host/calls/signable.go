package calls

import (
	"context"
	"errors"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
)

// signingMargin is how long before the end of a key a call is stopped whose return it would sign: so long that the
// return is signed, and verified by the caller, in time.
const signingMargin = 2 * time.Second

// errUnsignable is why a call is stopped that would outlive the key for its return.
var errUnsignable = errors.New("the key that would sign the return ends")

// signable has a call that may run until deadline end while its return can still be signed. keyEnds tells when the key
// for that ends, which a renewal moves. The error says that it is too late already: the call must not be begun. stop
// gives back what is held, and must be called after the call has ended.
func (in *Instance) signable(ctx context.Context, deadline time.Time, keyEnds func() time.Time) (_ context.Context, stop func(), err error) {
	left := func() time.Duration { return time.Until(keyEnds().Add(-signingMargin)) }
	rest := left()
	switch {
	case rest <= 0:
		return nil, nil, countersign.Errorf(countersign.CodeUnavailable, in.Function(),
			"nobody could sign the return: the instance's call certificate ends at %s and was not renewed; is Vault away?",
			keyEnds().UTC().Format(time.RFC3339))
	case time.Until(deadline) <= rest:
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for ; rest > 0; rest = left() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(rest):
			}
		}
		cancel(errUnsignable)
	}()
	return ctx, func() { cancel(nil) }, nil
}

// certificateEnds is when the instance can't sign returns any more.
func (in *Instance) certificateEnds() time.Time { return in.Identity().Certificate.NotAfter }

// stopped tells a call that signable stopped from one that failed by itself.
func (in *Instance) stopped(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errUnsignable) {
		return countersign.Errorf(countersign.CodeInternal, in.Function(),
			"the call was stopped, since the instance's call certificate ends and was not renewed: nobody could have signed a later return")
	}
	return err
}

// receivable is signable for a call in a session, whose keys sign the return.
func (in *Instance) receivable(ctx context.Context, session *callsig.Session, call *callsig.Call) (context.Context, func(), error) {
	return in.signable(ctx, in.deadline(call), session.Expires)
}
