package callsig

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"countersign/vaultsign/identity"
)

// SignCall signs a call that signer makes. The call is valid for DefaultLifetime.
func SignCall(signer Signer, call Call, now time.Time) (*SignedCall, error) {
	sc, err := prepareCall(signer, call, now)
	if err != nil {
		return nil, err
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if err := s.callBase(sc); err != nil {
		return nil, err
	}
	sc.Signature.Value = signer.appendSignature(sc.value[:0], calls, s.base)
	return sc, nil
}

// prepareCall checks a call and makes all of it but the signature's value.
func prepareCall(signer Signer, call Call, now time.Time) (*SignedCall, error) {
	sc := &SignedCall{Call: call}
	sc.Call.complete()
	if err := sc.Call.check(); err != nil {
		return nil, err
	}
	if signer.Self() != call.Caller {
		return nil, refuse(ReasonWrongCaller, "%s cannot sign a call of %s", signer.Self(), call.Caller)
	}
	if err := signer.canSign(calls, now); err != nil {
		return nil, err
	}
	created := now.Unix()
	sc.Digest = sha256.Sum256(call.Body)
	sc.Signature = Signature{
		Label: LabelCall, Created: created, Expires: created + int64(DefaultLifetime/time.Second),
		Nonce: signer.newNonce(), Algorithm: signer.algorithm(), KeyID: signer.keyID(),
	}
	return sc, nil
}

// VerifyCall refuses, with an *Error, a call that is not for callee, not made and signed by key's owner just now, or
// that was verified before.
func VerifyCall(key Key, callee identity.ID, sc *SignedCall, now time.Time) error {
	if err := sc.Call.check(); err != nil {
		return err
	}
	if err := checkBody(sc.Call.Body, &sc.Digest); err != nil {
		return err
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if err := s.callBase(sc); err != nil {
		return err
	}
	return verifyCall(key, callee, sc, s.base, now)
}

// verifyCall is the part that structs and HTTP messages share. Fields and body were checked before; base was made from
// the same message.
func verifyCall(key Key, callee identity.ID, sc *SignedCall, base []byte, now time.Time) error {
	if sc.Call.Callee != callee {
		return refuse(ReasonWrongCallee, "the call is for %s, not for %s", sc.Call.Callee, callee)
	}
	if sc.Call.Caller != key.Peer() {
		return refuse(ReasonWrongCaller, "the call names %s, but its key is that of %s", sc.Call.Caller, key.Peer())
	}
	if err := checkKey(key, calls, &sc.Signature, now); err != nil {
		return err
	}
	if err := checkCallTime(&sc.Signature, now.Unix()); err != nil {
		return err
	}
	if !key.verify(calls, base, sc.Signature.Value) {
		return refuse(ReasonBadSignature, "the call's signature by key %s does not verify", key.keyID())
	}
	if err := key.claim(&sc.Signature, now); err != nil {
		return err
	}
	sc.verified = true
	return nil
}

// SignReturn signs the return of a call. signer speaks for the callee.
func SignReturn(signer Signer, sc *SignedCall, ret Return, now time.Time) (*SignedReturn, error) {
	sr, err := prepareReturn(signer, sc, ret, now)
	if err != nil {
		return nil, err
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if err := s.returnBase(sc, sr); err != nil {
		return nil, err
	}
	sr.Signature.Value = signer.appendSignature(sr.value[:0], returns, s.base)
	return sr, nil
}

// prepareReturn checks a return and makes all of it but the signature's value.
func prepareReturn(signer Signer, sc *SignedCall, ret Return, now time.Time) (*SignedReturn, error) {
	sr := &SignedReturn{Return: ret, CallID: sc.Call.ID}
	sr.Return.complete()
	if err := sr.Return.check(); err != nil {
		return nil, err
	}
	if signer.Self() != sc.Call.Callee {
		return nil, refuse(ReasonWrongCallee, "%s cannot answer a call of %s", signer.Self(), sc.Call.Callee)
	}
	if err := signer.canSign(returns, now); err != nil {
		return nil, err
	}
	sr.Digest = sha256.Sum256(ret.Body)
	sr.Signature = Signature{
		Label: LabelReturn, Created: now.Unix(), Algorithm: signer.algorithm(), KeyID: signer.keyID(),
	}
	return sr, nil
}

// VerifyReturn refuses, with an *Error, a return that is not the callee's answer to exactly this call.
func VerifyReturn(key Key, sc *SignedCall, sr *SignedReturn, now time.Time) error {
	if err := sr.Return.check(); err != nil {
		return err
	}
	if err := checkBody(sr.Return.Body, &sr.Digest); err != nil {
		return err
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if err := s.returnBase(sc, sr); err != nil {
		return err
	}
	return verifyReturn(key, sc, sr, s.base, now)
}

func verifyReturn(key Key, sc *SignedCall, sr *SignedReturn, base []byte, now time.Time) error {
	if sc.Call.Callee != key.Peer() {
		return refuse(ReasonWrongCallee, "%s was called, but the return is from %s", sc.Call.Callee, key.Peer())
	}
	if sr.CallID != sc.Call.ID {
		return refuse(ReasonWrongCall, "the return is that of another call")
	}
	if err := checkKey(key, returns, &sr.Signature, now); err != nil {
		return err
	}
	if err := checkReturnTime(&sr.Signature, &sc.Signature, now.Unix()); err != nil {
		return err
	}
	if !key.verify(returns, base, sr.Signature.Value) {
		return refuse(ReasonBadSignature, "the return's signature by key %s does not verify for this call", key.keyID())
	}
	sr.verified = sc
	return nil
}

// checkKey refuses a signature that names another key or another algorithm than the one it is verified with.
func checkKey(key Key, d direction, s *Signature, now time.Time) error {
	switch {
	case len(s.Value) == 0:
		return refuse(ReasonUnsigned, "the message has no signature")
	case s.KeyID != key.keyID():
		return refuse(ReasonUnknownKey, "the signature names another key")
	case s.Algorithm != "" && s.Algorithm != key.algorithm():
		return refuse(ReasonWrongAlgorithm, "the signature names another algorithm than %s", key.algorithm())
	}
	return key.canVerify(d, now)
}

func checkBody(body []byte, want *[sha256.Size]byte) error {
	got := sha256.Sum256(body)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return refuse(ReasonBadDigest, "the body is not the one that was signed")
	}
	return nil
}

// callBase makes the signature base of a call from its struct.
func (s *scratch) callBase(sc *SignedCall) error {
	covers := sc.covers()
	base, err := appendBase(s.base[:0], covers.components, sc)
	if err != nil {
		return err
	}
	s.base = appendParams(base, covers, &sc.Signature, TagCall)
	return nil
}

// returnBase makes the signature base of a return from the structs.
func (s *scratch) returnBase(sc *SignedCall, sr *SignedReturn) error {
	covers := sr.covers(sc)
	s.answer = answer{call: sc, ret: sr}
	base, err := appendBase(s.base[:0], covers.components, &s.answer)
	if err != nil {
		return err
	}
	s.base = appendParams(base, covers, &sr.Signature, TagReturn)
	return nil
}
