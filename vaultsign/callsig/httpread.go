package callsig

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"net/http"
	"time"

	"countersign"
	"countersign/vaultsign/callsig/internal/sf"
	"countersign/vaultsign/identity"
)

// readCall reads what a request says as a call. Nothing of it is verified yet, but for the body's digest.
func readCall(r *http.Request, body []byte) (*SignedCall, error) {
	sc := &SignedCall{Call: Call{Method: r.Method, Path: r.URL.EscapedPath(), Body: body}}
	f := fields{header: r.Header}
	call := &sc.Call
	call.ContentType = f.text(fieldContentType)
	call.Caller = f.spiffeID(fieldCaller)
	call.Callee = f.spiffeID(fieldCallee)
	call.Deadline = time.UnixMilli(f.integer(fieldDeadline))
	call.ID = f.str(fieldID)
	if f.has(fieldTraceparent) {
		if call.Traceparent = f.text(fieldTraceparent); call.Traceparent == "" { // it would pass for left out
			f.fail(refuse(ReasonMalformed, "bad traceparent"))
		}
	}
	if f.has(fieldHops) {
		call.Hops = int(f.integer(fieldHops))
		if call.Hops == 0 {
			f.fail(refuse(ReasonMalformed, "countersign-hops is left out if it is 0"))
		}
	}
	if f.has(fieldExplain) {
		if call.Explain = f.text(fieldExplain) == explainYes; !call.Explain {
			f.fail(refuse(ReasonMalformed, "countersign-explain of a call is %s, or left out", explainYes))
		}
	}
	if f.has(fieldInterface) {
		if call.Interface = f.str(fieldInterface); call.Interface == "" { // it would pass for left out
			f.fail(refuse(ReasonMalformed, "countersign-interface is empty"))
		}
	}
	sc.Digest = sha256.Sum256(body)
	sc.digestField = f.digest(body, sc.Digest)
	if f.err != nil {
		return nil, f.err
	}
	return sc, call.check()
}

// readReturn reads what a response says as a return.
func readReturn(resp *http.Response, body []byte) (*SignedReturn, error) {
	f := fields{header: resp.Header}
	sr := &SignedReturn{Return: Return{Status: resp.StatusCode, Body: body}}
	sr.Return.ContentType = f.text(fieldContentType)
	sr.CallID = f.str(fieldID)
	if f.has(fieldCode) {
		sr.Return.Code = countersign.Code(f.token(fieldCode))
	}
	if f.has(fieldExplain) {
		sr.Return.Explain = string(f.bytes(fieldExplain))
	}
	sr.Digest = sha256.Sum256(body)
	f.digest(body, sr.Digest)
	if f.err != nil {
		return nil, f.err
	}
	return sr, sr.Return.check()
}

// fields reads single-valued fields and keeps the first error.
type fields struct {
	header http.Header
	err    error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) has(name string) bool { return len(f.header.Values(name)) > 0 }

func (f *fields) text(name string) string {
	value, err := single(f.header, name)
	if err != nil {
		f.fail(err)
	}
	return value
}

// item returns the value of a structured field that is an item without parameters.
func (f *fields) item(name string) any {
	value, err := single(f.header, name)
	if err != nil {
		f.fail(err)
		return nil
	}
	it, err := sf.ParseItem(value)
	switch {
	case err != nil:
		f.fail(because(ReasonMalformed, err, "read field %s", name))
	case len(it.Params) > 0:
		f.fail(refuse(ReasonMalformed, "field %s has parameters", name))
	}
	return it.Value
}

func (f *fields) str(name string) string {
	value, ok := f.item(name).(string)
	if !ok {
		f.fail(refuse(ReasonMalformed, "field %s is not a string", name))
	}
	return value
}

func (f *fields) token(name string) string {
	value, ok := f.item(name).(sf.Token)
	if !ok {
		f.fail(refuse(ReasonMalformed, "field %s is not a token", name))
	}
	return string(value)
}

func (f *fields) bytes(name string) []byte {
	value, ok := f.item(name).([]byte)
	if !ok {
		f.fail(refuse(ReasonMalformed, "field %s is not a byte sequence", name))
	}
	return value
}

func (f *fields) integer(name string) int64 {
	value, ok := f.item(name).(int64)
	if !ok {
		f.fail(refuse(ReasonMalformed, "field %s is not an integer", name))
	}
	return value
}

func (f *fields) spiffeID(name string) identity.ID {
	value := f.str(name)
	if f.err != nil {
		return identity.ID{}
	}
	id, err := identity.ParseID(value)
	if err != nil {
		f.fail(because(ReasonMalformed, err, "read field %s", name))
	}
	return id
}

// digest compares the body with Content-Digest (RFC 9530 section 2) and returns the field's value. Of the digests that
// are known here there must be one, and all must fit.
func (f *fields) digest(body []byte, sum256 [sha256.Size]byte) string {
	value, err := single(f.header, fieldContentDigest)
	if err != nil {
		f.fail(err)
		return ""
	}
	d, err := sf.ParseDict(value)
	if err != nil {
		f.fail(because(ReasonMalformed, err, "read field %s", fieldContentDigest))
		return ""
	}
	known := 0
	for i := range d {
		var sum []byte
		switch d[i].Key {
		case "sha-256":
			sum = sum256[:]
		case "sha-512":
			s := sha512.Sum512(body)
			sum = s[:]
		default:
			continue
		}
		claimed, ok := d[i].Item.Value.([]byte)
		if !ok {
			f.fail(refuse(ReasonMalformed, "digest %s is not a byte sequence", d[i].Key))
		} else if subtle.ConstantTimeCompare(sum, claimed) != 1 {
			f.fail(refuse(ReasonBadDigest, "the body has another %s digest than %s says", d[i].Key, fieldContentDigest))
		}
		known++
	}
	if known == 0 {
		f.fail(refuse(ReasonBadDigest, "%s has neither sha-256 nor sha-512", fieldContentDigest))
	}
	return value
}

// single returns the value of a field that must be there on exactly one line.
func single(header http.Header, name string) (string, error) {
	lines := header.Values(name)
	switch len(lines) {
	case 0:
		return "", refuse(ReasonMalformed, "the message has no field %s", name)
	case 1:
		return combine(name, lines)
	}
	return "", refuse(ReasonMalformed, "the message has field %s %d times", name, len(lines))
}
