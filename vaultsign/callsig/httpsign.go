package callsig

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"countersign/vaultsign/callsig/internal/sf"
)

// SignRequest signs a call and puts it on r: method, body and header fields. r's URL decides where the call goes; its
// path must be the call's, and it has no query. Signatures that r had are replaced.
func SignRequest(r *http.Request, signer Signer, call Call, now time.Time) (*SignedCall, error) {
	call.complete()
	if path := r.URL.EscapedPath(); path != call.Path || r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, refuse(ReasonWrongCallee, "sign a call at %q: its path is %s, without a query", path, call.Path)
	}
	if authority := AuthorityOf(r); call.Authority != "" && call.Authority != authority {
		return nil, refuse(ReasonWrongCallee, "sign a call for %q: the request goes to %q", call.Authority, authority)
	}
	sc, err := SignCall(signer, call, now)
	if err != nil {
		return nil, err
	}
	body := sc.Call.Body
	r.Method, r.ContentLength = sc.Call.Method, int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if r.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	covers := sc.covers()
	for i := range covers.components {
		if c := &covers.components[i]; c.name[0] != '@' {
			setField(r.Header, c, sc)
		}
	}
	setSignature(r.Header, signer, &sc.Signature, appendParams(nil, covers, &sc.Signature, TagCall))
	return sc, nil
}

// SignResponse signs the return of a call and puts it into header. The caller writes Return.Status and Return.Body of
// what is returned. Signatures that header had are replaced.
func SignResponse(header http.Header, signer Signer, sc *SignedCall, ret Return, now time.Time) (*SignedReturn, error) {
	sr, err := SignReturn(signer, sc, ret, now)
	if err != nil {
		return nil, err
	}
	src := &answer{call: sc, ret: sr}
	covers := sr.covers(sc)
	for i := range covers.components {
		if c := &covers.components[i]; c.name[0] != '@' && !c.req {
			setField(header, c, src)
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(sr.Return.Body)))
	setSignature(header, signer, &sr.Signature, appendParams(nil, covers, &sr.Signature, TagReturn))
	return sr, nil
}

// setField sets a covered field to what its line of the signature base says.
func setField(header http.Header, c *component, src source) {
	value, err := src.appendValue(nil, c)
	if err == nil { // the signature base was made of the same values before
		header.Set(c.name, string(value))
	}
}

func setSignature(header http.Header, signer Signer, s *Signature, params []byte) {
	header.Set(fieldSignatureInput, s.Label+"="+string(params))
	header.Set(fieldSignature, string(sf.AppendBytes([]byte(s.Label+"="), s.Value)))
	if s, ok := signer.(interface{ Certificate() []byte }); ok {
		header.Set(fieldCertificate, string(sf.AppendBytes(nil, s.Certificate())))
	}
}
