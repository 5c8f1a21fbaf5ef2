package callsig

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"

	"countersign/vaultsign/identity"
)

// TagTokenReturn is the tag of a return to a call that came with a bearer token instead of a signature: it must not
// pass for the return of a signed call, which covers more.
const TagTokenReturn = "countersign-token-return"

// ReadTokenCall reads a request that carries a bearer token as a call. The token is for the caller to verify; the call
// names nobody as Caller. ID is "" and Deadline zero if the client left them out. A Content-Digest must fit the body.
func ReadTokenCall(r *http.Request, body []byte, callee identity.ID) (*Call, error) {
	call := &Call{Method: r.Method, Path: r.URL.EscapedPath(), Callee: callee, ContentType: ContentType, Body: body}
	f := fields{header: r.Header}
	if f.has(fieldContentType) {
		call.ContentType = f.text(fieldContentType)
	}
	if f.has(fieldContentDigest) {
		f.digest(body, sha256.Sum256(body))
	}
	if f.has(fieldDeadline) {
		call.Deadline = time.UnixMilli(f.integer(fieldDeadline))
	}
	if f.has(fieldID) {
		call.ID = f.str(fieldID)
	}
	if f.has(fieldTraceparent) {
		call.Traceparent = f.text(fieldTraceparent)
	}
	ms := call.Deadline.UnixMilli()
	switch {
	case f.err != nil:
		return nil, f.err
	case r.Method != http.MethodPost || call.Path != Path(callee):
		return nil, refuse(ReasonWrongCallee, "the call's path is not that of its callee")
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return nil, refuse(ReasonMalformed, "a call has no query")
	case !printable(call.ContentType, maxText, ' '):
		return nil, refuse(ReasonMalformed, "bad content-type")
	case f.has(fieldID) && !printable(call.ID, maxID, '!'):
		return nil, refuse(ReasonMalformed, "countersign-id is not 1 to %d printable ASCII characters", maxID)
	case f.has(fieldDeadline) && (ms <= 0 || ms > maxDeadlineMS):
		return nil, refuse(ReasonMalformed, "bad countersign-deadline")
	case f.has(fieldTraceparent) && !printable(call.Traceparent, maxText, '!'):
		return nil, refuse(ReasonMalformed, "bad traceparent")
	}
	return call, nil
}

// SignTokenResponse signs the return of a call that came with a bearer token, and puts it into header; request is the
// call as it came, and id its ID. The caller writes Return.Status and Return.Body of what is returned.
func SignTokenResponse(
	header http.Header, signer Signer, request *http.Request, id string, ret Return, now time.Time,
) (*SignedReturn, error) {
	sr := &SignedReturn{Return: ret, CallID: id, Digest: sha256.Sum256(ret.Body)}
	sr.Return.complete()
	if err := sr.Return.check(); err != nil {
		return nil, err
	}
	if err := signer.canSign(returns, now); err != nil {
		return nil, err
	}
	sr.Signature = Signature{
		Label: LabelReturn, Created: now.Unix(), Algorithm: signer.algorithm(), KeyID: signer.keyID(),
	}
	covers := sr.coversToken(request)
	src := &answer{ret: sr}
	for i := range covers.components {
		if c := &covers.components[i]; c.name[0] != '@' && !c.req {
			setField(header, c, src)
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(ret.Body)))
	params := appendParams(nil, covers, &sr.Signature, TagTokenReturn)
	base, err := appendBase(nil, covers.components, responseSource{status: ret.Status, header: header, request: request})
	if err != nil {
		return nil, err
	}
	sr.Signature.Value = signer.appendSignature(nil, returns, append(base, params...))
	setSignature(header, signer, &sr.Signature, params)
	return sr, nil
}

// VerifyTokenResponse verifies the return of a call of callee with a bearer token, which was sent as request; body is
// the response's, read already. Refusals are *Error. That the return is not one to an earlier call hangs on request's
// Countersign-Id, which should be there and be used once.
func (v *Verifier) VerifyTokenResponse(
	resp *http.Response, body []byte, request *http.Request, callee identity.ID,
) (*SignedReturn, error) {
	covers := func(sr *SignedReturn) *covered { return sr.coversToken(request) }
	return v.verifyResponse(resp, body, request, TagTokenReturn, covers,
		func(key Key, sr *SignedReturn, base []byte, now time.Time) error {
			return verifyTokenReturn(key, callee, request, sr, base, now)
		})
}

func verifyTokenReturn(
	key Key, callee identity.ID, request *http.Request, sr *SignedReturn, base []byte, now time.Time,
) error {
	if callee != key.Peer() {
		return refuse(ReasonWrongCallee, "%s was called, but the return is from %s", callee, key.Peer())
	}
	f := fields{header: request.Header}
	if f.has(fieldID) && (f.str(fieldID) != sr.CallID || f.err != nil) {
		return refuse(ReasonWrongCall, "the return is that of another call")
	}
	if err := checkKey(key, returns, &sr.Signature, now); err != nil {
		return err
	}
	// There is no call's signature to measure by: a return is fresh for as long as a call.
	call := Signature{Created: now.Add(-MaxLifetime).Unix()}
	if err := checkReturnTime(&sr.Signature, &call, now.Unix()); err != nil {
		return err
	}
	if !key.verify(returns, base, sr.Signature.Value) {
		return refuse(ReasonBadSignature, "the return's signature by key %s does not verify for this call", key.keyID())
	}
	return nil
}

// coversToken lists what the return of a call with a bearer token covers.
func (sr *SignedReturn) coversToken(request *http.Request) *covered {
	components := []component{field("@status"), field(fieldContentType), field(fieldContentDigest), field(fieldID)}
	if sr.Return.Code != "" {
		components = append(components, field(fieldCode))
	}
	if sr.Return.Explain != "" {
		components = append(components, field(fieldExplain))
	}
	components = append(components, ofRequest("@method"), ofRequest("@path"))
	if len(request.Header.Values(fieldContentDigest)) > 0 {
		components = append(components, ofRequest(fieldContentDigest))
	}
	return cover(components...)
}
