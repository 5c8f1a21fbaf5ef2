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

// renewBefore is how long before its end a session is replaced, so that none ends under a call.
const renewBefore = time.Minute

// between returns the session for calls of caller to callee.
func (s *sessions) between(caller, callee *Instance) (*session, error) {
	key := pair{caller.ID(), callee.ID()}
	s.mu.RLock()
	found := s.pairs[key]
	s.mu.RUnlock()
	if found.usable() {
		return found, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.pairs[key]; found.usable() {
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

func (s *session) usable() bool {
	return s != nil && time.Until(s.caller.Expires()) > renewBefore
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
