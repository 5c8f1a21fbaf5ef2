package calls

import (
	"sync"
	"time"

	"countersign"
	"countersign/host/problem"
	"countersign/vaultsign/callsig"
)

// sessions holds the session keys of calls between two instances of this host. A session is agreed on at a pair's first
// call: both instances' certified call keys vouch for it (docs/call-format.md). The zero value is ready to use.
type sessions struct {
	mu    sync.RWMutex
	pairs map[pair]*session
}

// pair is who calls whom, by allocation: a new allocation has a new call key and needs a new session.
type pair struct{ caller, callee string }

// session is both ends of one session.
type session struct {
	caller *callsig.Session
	callee *callsig.Session
}

// renewBefore is how much longer a new session must live than one that ends before a call does, to be worth making.
const renewBefore = time.Minute

// between returns the session for a call of caller to callee. It lasts until the call's deadline, if one can: where the
// certificates end before, it is the callee that ends the call in time (signable.go).
func (s *sessions) between(caller, callee *Instance, deadline time.Time) (*session, error) {
	key := pair{caller.ID(), callee.ID()}
	s.mu.RLock()
	found := s.pairs[key]
	s.mu.RUnlock()
	if found.lasts(deadline, caller, callee) {
		return found, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.pairs[key]; found.lasts(deadline, caller, callee) {
		return found, nil
	}
	made, err := agree(caller, callee)
	if err != nil {
		return nil, err
	}
	if s.pairs == nil {
		s.pairs = map[pair]*session{}
	}
	s.pairs[key] = made
	return made, nil
}

// lasts tells whether the session lasts until a call's deadline, or about as long as a new one would.
func (s *session) lasts(deadline time.Time, caller, callee *Instance) bool {
	if s == nil {
		return false
	}
	if ends := s.caller.Expires().Add(-signingMargin); deadline.Before(ends) {
		return true
	}
	newest := time.Now().Add(callsig.MaxSession)
	for _, in := range []*Instance{caller, callee} {
		if ends := in.certificateEnds(); ends.Before(newest) {
			newest = ends
		}
	}
	return newest.Sub(s.caller.Expires()) < renewBefore
}

// agree runs the session handshake between two instances.
func agree(caller, callee *Instance) (*session, error) {
	trust, now := caller.node.config.Trust(), time.Now()
	offer, err := callsig.NewOffer(caller.Identity(), callee.config.SVID, now)
	if err != nil {
		return nil, problem.OfSignature(callee.Function(), err)
	}
	accepted, answer, err := callsig.Accept(trust, callee.Identity(), offer.Message(), now)
	if err != nil {
		return nil, problem.OfSignature(callee.Function(), err)
	}
	completed, err := offer.Complete(trust, answer, now)
	if err != nil {
		return nil, problem.OfSignature(callee.Function(), err)
	}
	if completed.ID() != accepted.ID() {
		return nil, countersign.Errorf(countersign.CodeInternal, callee.Function(), "the two ends of a session disagree")
	}
	return &session{caller: completed, callee: accepted}, nil
}

// forget drops the sessions of an allocation that ended.
func (s *sessions) forget(allocation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.pairs {
		if key.caller == allocation || key.callee == allocation {
			delete(s.pairs, key)
		}
	}
}
