package callsig

import "time"

// The freshness rules. They bound the time for which a nonce must be remembered.
const (
	// DefaultLifetime is how long after its creation a call of ours may be accepted.
	DefaultLifetime = 30 * time.Second
	// MaxLifetime is the longest that a call may be valid for: expires − created.
	MaxLifetime = 60 * time.Second
	// ClockSkew is how far the clocks of signer and verifier may differ.
	ClockSkew = 10 * time.Second
	// remember is how long a nonce can be of use to somebody who replays it: a call created by a clock that is
	// ClockSkew ahead lives for MaxLifetime, and a verifier grants another ClockSkew.
	remember = MaxLifetime + 2*ClockSkew
)

const (
	lifetimeSeconds = int64(MaxLifetime / time.Second)
	skewSeconds     = int64(ClockSkew / time.Second)
)

// checkCallTime refuses a call that was not signed just now.
func checkCallTime(s *Signature, now int64) error {
	switch {
	case s.Created <= 0:
		return refuse(ReasonMalformed, "the call's signature has no created time")
	case s.Expires <= 0:
		return refuse(ReasonMalformed, "the call's signature has no expires time")
	case s.Created > now+skewSeconds:
		return refuse(ReasonNotYetValid, "the call was created %d s in the future; check the clocks", s.Created-now)
	case s.Expires > s.Created+lifetimeSeconds:
		return refuse(ReasonExpired, "the call was signed for %d s; at most %d s are accepted",
			s.Expires-s.Created, lifetimeSeconds)
	case s.Expires <= s.Created:
		return refuse(ReasonExpired, "the call expires before it was created")
	case now > s.Expires+skewSeconds:
		return refuse(ReasonExpired, "the call expired %d s ago; check the clocks and sign anew", now-s.Expires)
	}
	return nil
}

// checkReturnTime refuses a return whose time does not fit its call's. A return needs no lifetime of its own, since it
// covers its call's signature.
func checkReturnTime(s *Signature, call *Signature, now int64) error {
	switch {
	case s.Created <= 0:
		return refuse(ReasonMalformed, "the return's signature has no created time")
	case s.Created > now+skewSeconds:
		return refuse(ReasonNotYetValid, "the return was created %d s in the future; check the clocks", s.Created-now)
	case s.Created < call.Created-skewSeconds:
		return refuse(ReasonExpired, "the return was created %d s before its call", call.Created-s.Created)
	case s.Expires != 0 && now > s.Expires+skewSeconds:
		return refuse(ReasonExpired, "the return expired %d s ago", now-s.Expires)
	}
	return nil
}
