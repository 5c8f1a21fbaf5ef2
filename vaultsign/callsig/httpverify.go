package callsig

import (
	"net/http"
	"sync"
	"time"

	"countersign/vaultsign/callsig/internal/sf"
	"countersign/vaultsign/identity"
)

// Verifier verifies calls and returns that came over HTTP. It is safe for concurrent use.
type Verifier struct {
	// Trust returns the current trust bundle.
	Trust func() *identity.Bundle
	// Replay remembers calls. A verifier of returns needs none.
	Replay *ReplayCache
	// Session finds a session by its ID, or returns nil. If Session is nil, hmac-sha256 is refused.
	Session func(id string) *Session
	// Authority tells whether a call that was signed for an authority (AuthorityOf) is for this node; nil: all are.
	Authority func(authority string) bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	certificates certificateCache
}

// VerifyRequest verifies a call for callee, whose body was read already. Refusals are *Error. The request must be as it
// came from the HTTP server: its method, URL and header are what was signed.
func (v *Verifier) VerifyRequest(r *http.Request, body []byte, callee identity.ID) (*SignedCall, error) {
	return v.verifyRequest(r, body, callee, authorityRule{v.Authority, false, "which is no name of this one"})
}

func (v *Verifier) verifyRequest(
	r *http.Request, body []byte, callee identity.ID, rule authorityRule,
) (*SignedCall, error) {
	found, err := findSignature(r.Header, TagCall)
	if err != nil {
		return nil, err
	}
	if err := found.checkAuthority(r, rule); err != nil {
		return nil, err
	}
	sc, err := readCall(r, body)
	if err != nil {
		return nil, err
	}
	sc.Signature = found.signature
	if err := found.require(sc.covers().components); err != nil {
		return nil, err
	}
	if err := found.requireQuery(r); err != nil {
		return nil, err
	}
	now := v.now()
	key, err := v.key(r.Header, &found.signature, now)
	if err != nil {
		return nil, err
	}
	base, err := appendBase(nil, found.components, requestSource{r})
	if err != nil {
		return nil, err
	}
	if err := verifyCall(key, callee, sc, append(base, found.params...), now); err != nil {
		return nil, err
	}
	return sc, nil
}

// VerifyResponse verifies the return of the call sc, which was sent as request; body is the response's, read already.
// Refusals are *Error. A response that a node gave before anybody who can sign was asked is ReasonUnsigned.
func (v *Verifier) VerifyResponse(
	resp *http.Response, body []byte, request *http.Request, sc *SignedCall,
) (*SignedReturn, error) {
	covers := func(sr *SignedReturn) *covered { return sr.covers(sc) }
	return v.verifyResponse(resp, body, request, TagReturn, covers,
		func(key Key, sr *SignedReturn, base []byte, now time.Time) error {
			return verifyReturn(key, sc, sr, base, now)
		})
}

// verifyResponse reads a return whose signature has the tag and has to cover what covers says, and has verify judge it.
func (v *Verifier) verifyResponse(resp *http.Response, body []byte, request *http.Request, tag string,
	covers func(*SignedReturn) *covered, verify func(key Key, sr *SignedReturn, base []byte, now time.Time) error,
) (*SignedReturn, error) {
	found, err := findSignature(resp.Header, tag)
	if err != nil {
		return nil, err
	}
	sr, err := readReturn(resp, body)
	if err != nil {
		return nil, err
	}
	sr.Signature = found.signature
	if err := found.require(covers(sr).components); err != nil {
		return nil, err
	}
	now := v.now()
	key, err := v.key(resp.Header, &found.signature, now)
	if err != nil {
		return nil, err
	}
	src := responseSource{status: resp.StatusCode, header: resp.Header, request: request}
	base, err := appendBase(nil, found.components, src)
	if err != nil {
		return nil, err
	}
	if err := verify(key, sr, append(base, found.params...), now); err != nil {
		return nil, err
	}
	return sr, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// requireQuery refuses a query that the signature does not cover: @path leaves it out.
func (r *received) requireQuery(request *http.Request) error {
	if request.URL.RawQuery == "" && !request.URL.ForceQuery {
		return nil
	}
	for _, name := range []string{"@query", "@target-uri", "@request-target"} {
		if c := field(name); r.find(&c) {
			return nil
		}
	}
	return refuse(ReasonMissingComponent, "the request has a query, which the signature does not cover")
}

// key finds the key that a signature names.
func (v *Verifier) key(header http.Header, s *Signature, now time.Time) (Key, error) {
	switch s.Algorithm {
	case HMACSHA256:
		if v.Session != nil {
			if session := v.Session(s.KeyID); session != nil {
				return session, nil
			}
		}
		return nil, refuse(ReasonUnknownKey, "there is no session with the key ID of the signature")
	case Ed25519, "":
		// Without alg the key decides (RFC 9421 section 3.2, step 6), and a certificate's key is always Ed25519.
	default:
		return nil, refuse(ReasonWrongAlgorithm, "algorithm %.32q is not accepted; use %s", s.Algorithm, Ed25519)
	}
	der, err := readCertificate(header)
	if err != nil {
		return nil, err
	}
	if identity.Thumbprint(der) != s.KeyID {
		return nil, refuse(ReasonUnknownKey, "keyid is not the SHA-256 thumbprint of %s", HeaderCertificate)
	}
	certificate, err := v.certificates.verify(v.Trust(), s.KeyID, der, now)
	if err != nil {
		return nil, because(certificateReason(err), err, "verify the certificate of the message")
	}
	return NewKey(certificate, v.Replay), nil
}

func readCertificate(header http.Header) ([]byte, error) {
	if len(header.Values(fieldCertificate)) == 0 {
		return nil, refuse(ReasonUnknownKey, "the message has no %s for its key ID", HeaderCertificate)
	}
	value, err := single(header, fieldCertificate)
	if err != nil {
		return nil, err
	}
	it, err := sf.ParseItem(value)
	der, ok := it.Value.([]byte)
	if err != nil || !ok || len(it.Params) > 0 {
		return nil, refuse(ReasonMalformed, "%s is not a byte sequence", HeaderCertificate)
	}
	return der, nil
}

// maxCertificates bounds the certificateCache.
const maxCertificates = 4096

// certificateCache remembers which certificates a trust bundle verified, since a caller makes many calls with one. Time
// is checked at each use.
type certificateCache struct {
	mu       sync.RWMutex
	bundle   *identity.Bundle
	verified map[string]*identity.Certificate // by thumbprint, which stands for the bytes
}

func (c *certificateCache) verify(
	bundle *identity.Bundle, thumbprint string, der []byte, now time.Time,
) (*identity.Certificate, error) {
	if bundle == nil {
		return nil, &identity.CertificateError{Reason: identity.ReasonUntrusted, Message: "there is no trust bundle yet"}
	}
	c.mu.RLock()
	known := c.verified[thumbprint]
	if c.bundle != bundle {
		known = nil
	}
	c.mu.RUnlock()
	if known != nil {
		return known, known.CheckTime(now)
	}
	certificate, err := bundle.Verify(der, now)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bundle != bundle || len(c.verified) >= maxCertificates {
		c.bundle, c.verified = bundle, map[string]*identity.Certificate{}
	}
	c.verified[thumbprint] = certificate
	return certificate, nil
}
