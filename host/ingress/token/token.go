// Package token verifies bearer tokens (JWT, RFC 7519) of trusted issuers, whose keys it finds by OpenID Connect
// discovery or at a JWKS address. It owns the issuers' keys and the rules for claims; it must not know functions,
// HTTP servers or call signatures. Tokens are secrets: none of its errors holds one.
package token

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign"
)

// Config names one trusted issuer. It holds no secret.
type Config struct {
	Issuer   string // exactly as the tokens' iss claim has it; a URL, unless JWKSURL is set
	JWKSURL  string // where its keys are; "" asks Issuer's /.well-known/openid-configuration
	Audience string // that the tokens' aud claim must hold
	CACert   string // path of a PEM file for the TLS certificates of these addresses; "" means the system's authorities
}

// Caller is whom a verified token names.
type Caller struct {
	Issuer  string
	Subject string // 1 to maxSubject printable ASCII characters without space
}

// String returns the caller as functions see it: jwt:<issuer>#<subject>. An issuer has no "#", so there is one reading.
func (c Caller) String() string { return "jwt:" + c.Issuer + "#" + c.Subject }

// The limits of tokens, documented in docs/ingress.md.
const (
	maxToken   = 8 << 10          // bytes of a token
	maxIssuer  = 256              // bytes of an issuer
	maxSubject = 256              // bytes of a subject
	clockSkew  = 10 * time.Second // by which the issuer's clock may differ
)

// algorithms are those that tokens may be signed with. With a symmetric one every verifier could make tokens.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// Error is the refusal of a token.
type Error struct {
	Message string // for people; holds no token
	Expired bool   // the token is outside its time
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unverified tells this error from one about reaching something.
func (e *Error) Unverified() bool { return true }

// Code returns the code of the failed call.
func (e *Error) Code() countersign.Code {
	if e.Expired {
		return countersign.CodeExpired
	}
	return countersign.CodeUnverified
}

func refuse(format string, args ...any) *Error { return &Error{Message: fmt.Sprintf(format, args...)} }

// UnreachableError says that there are no keys to verify a token with, since the issuer did not answer.
type UnreachableError struct {
	Issuer string
	Err    error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("fetching the keys of token issuer %s: %v", e.Issuer, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one that trying again may cure.
func (e *UnreachableError) Unreachable() bool { return true }

// Verifier verifies tokens of several issuers. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*keySet
	now     func() time.Time
}

// New returns a verifier that trusts the issuers. It asks nobody: keys are fetched when the first token comes.
func New(configs []Config) (*Verifier, error) {
	v := &Verifier{issuers: map[string]*keySet{}, now: time.Now}
	for _, c := range configs {
		if err := Check(c); err != nil {
			return nil, err
		}
		if v.issuers[c.Issuer] != nil {
			return nil, fmt.Errorf("token issuer %s is configured twice", c.Issuer)
		}
		set, err := newKeySet(c, func() time.Time { return v.now() })
		if err != nil {
			return nil, err
		}
		v.issuers[c.Issuer] = set
	}
	return v, nil
}

// Check finds what is wrong with an issuer's configuration.
func Check(c Config) error {
	switch {
	case c.Issuer == "" || len(c.Issuer) > maxIssuer || !printable(c.Issuer) || strings.Contains(c.Issuer, "#"):
		return fmt.Errorf("token issuer %.80q is not 1 to %d printable ASCII characters without space and #", c.Issuer, maxIssuer)
	case c.Audience == "":
		return fmt.Errorf("token issuer %s has no audience: without one, tokens for anybody would be accepted", c.Issuer)
	case c.JWKSURL == "" && !isURL(c.Issuer):
		return fmt.Errorf("token issuer %s is not an http or https URL: set jwks_url", c.Issuer)
	}
	if err := CheckAddress(cmp.Or(c.JWKSURL, c.Issuer)); err != nil {
		return fmt.Errorf("token issuer %s: its keys: %w", c.Issuer, err)
	}
	return nil
}

// CheckAddress refuses a URL that keys must not come from: whoever is on the way to http can put in keys of his own, so
// that it is for loopback only.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || !isURL(address):
		return fmt.Errorf("%.80q is not an http or https URL without a user", address)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%.80q is plain http, where anybody on the way can put in keys: use https", address)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

// Verify verifies a token and returns whom it names. Errors are *Error or *UnreachableError.
func (v *Verifier) Verify(ctx context.Context, raw string) (Caller, error) {
	if len(raw) > maxToken {
		return Caller{}, refuse("the token has more than %d bytes", maxToken)
	}
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return Caller{}, refuse("the token is not a compact JWT signed with one of %v", algorithms)
	}
	// Not verified yet: it only says with whose keys to do it.
	claimed, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return Caller{}, err
	}
	set := v.issuers[claimed.Issuer]
	if set == nil {
		return Caller{}, refuse("the token's issuer %.80q is not trusted here", claimed.Issuer)
	}
	header := jws.Signatures[0].Header
	keys, err := set.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return Caller{}, err
	}
	for _, key := range keys {
		payload, err := jws.Verify(key)
		if err != nil {
			continue
		}
		verified, err := parseClaims(payload)
		if err != nil {
			return Caller{}, err
		}
		return verified.check(set.config, v.now())
	}
	return Caller{}, refuse("the token's signature does not verify with a key of its issuer")
}

// printable accepts ASCII from '!' to '~'.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}
