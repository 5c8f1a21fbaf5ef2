package token

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"countersign/strictjson"
)

// claims are the members of a token that count (RFC 7519, section 4.1). It may have any others.
type claims struct {
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  json.RawMessage `json:"aud"` // a text or a list of texts
	Expires   *numericDate    `json:"exp"`
	NotBefore *numericDate    `json:"nbf"`
	IssuedAt  *numericDate    `json:"iat"`
}

// numericDate is a time as seconds since 1970, maybe with a fraction (RFC 7519, section 2).
type numericDate float64

// maxDate is the last second of the year 9999. What is beyond it, on either side, is a mistake or an attempt: as a whole
// number it might be any time at all.
const maxDate = 253402300799

func (d numericDate) time() time.Time {
	whole, fraction := math.Modf(float64(d))
	return time.Unix(int64(whole), int64(fraction*1e9))
}

// parseClaims reads a token's payload. Names match byte for byte and occur once.
func parseClaims(payload []byte) (claims, error) {
	var c claims
	if err := strictjson.DecodeOpen(payload, &c); err != nil {
		return claims{}, refuse("the token's claims are not as they must be: %v", err)
	}
	for name, d := range map[string]*numericDate{"exp": c.Expires, "nbf": c.NotBefore, "iat": c.IssuedAt} {
		if d != nil && (*d < 0 || *d > maxDate) {
			return claims{}, refuse("the token's %s claim is not a time between 1970 and 9999", name)
		}
	}
	return c, nil
}

// check holds verified claims against what an issuer's tokens must say, and returns whom they name.
func (c claims) check(config Config, now time.Time) (Caller, error) {
	switch {
	case c.Issuer != config.Issuer:
		return Caller{}, refuse("the token's issuer %.80q is not trusted here", c.Issuer)
	case !c.isFor(config.Audience):
		return Caller{}, refuse("the token is for another audience than %.80q", config.Audience)
	case c.Expires == nil:
		return Caller{}, &Error{Message: "the token never expires; get one that does", Expired: true}
	case !now.Add(-clockSkew).Before(c.Expires.time()):
		return Caller{}, &Error{Message: "the token expired; get a new one", Expired: true}
	case isAhead(c.NotBefore, now) || isAhead(c.IssuedAt, now):
		return Caller{}, &Error{Message: "the token is not valid yet; check the clocks", Expired: true}
	case c.Subject == "" || len(c.Subject) > maxSubject || !printable(c.Subject):
		return Caller{}, refuse("the token's subject is not 1 to %d printable ASCII characters without space", maxSubject)
	}
	return Caller{Issuer: c.Issuer, Subject: c.Subject}, nil
}

func isAhead(d *numericDate, now time.Time) bool {
	return d != nil && d.time().After(now.Add(clockSkew))
}

// isFor tells whether the aud claim is a text, or a list of texts with one, that is the audience (RFC 7519, section 4.1.3).
func (c claims) isFor(audience string) bool {
	var one string
	if strictjson.Decode(c.Audience, &one) == nil {
		return one == audience
	}
	var several []string
	return strictjson.Decode(c.Audience, &several) == nil && slices.Contains(several, audience)
}
