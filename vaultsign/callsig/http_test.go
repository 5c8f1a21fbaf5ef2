package callsig

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// exchange is an outside client and a function that meet over HTTP.
type exchange struct {
	*pair
	ann      *identity.Identity
	server   *Verifier
	client   *Verifier
	sessions map[string]*Session
}

func newExchange(tb testing.TB) *exchange {
	tb.Helper()
	x := &exchange{pair: newPair(tb), sessions: map[string]*Session{}}
	x.ann = x.ca.identity(tb, client(tb, "ann"), x.now.Add(-time.Minute), x.now.Add(time.Hour))
	trust := func() *identity.Bundle { return x.ca.bundle }
	clock := func() time.Time { return x.now }
	x.server = &Verifier{
		Trust: trust, Replay: NewReplayCache(0, x.now), Now: clock,
		Session: func(id string) *Session { return x.sessions[id] },
	}
	x.client = &Verifier{Trust: trust, Now: clock}
	return x
}

func (x *exchange) outsideCall() Call {
	call := x.call()
	call.Caller = x.ann.ID()
	return call
}

func newRequest(tb testing.TB, base string, call *Call) *http.Request {
	tb.Helper()
	r, err := http.NewRequest(http.MethodPost, base+Path(call.Callee), nil)
	must(tb, err)
	return r
}

// signed returns a signed request as a server sees it, and its body.
func (x *exchange) signed(tb testing.TB) (*http.Request, []byte, *SignedCall) {
	tb.Helper()
	call := x.outsideCall()
	r := newRequest(tb, "http://node.example:7000", &call)
	sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
	must(tb, err)
	return r, call.Body, sc
}

func TestHTTPRoundTrip(t *testing.T) {
	x := newExchange(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sc, err := x.server.VerifyRequest(r, body, x.tax.ID())
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if sc.Call.Caller != x.ann.ID() || sc.Call.Hops != 3 || !sc.Call.Deadline.Equal(x.now.Add(2*time.Second).Truncate(1e6)) {
			t.Errorf("the call reads %+v", sc.Call)
		}
		ret := Return{Status: http.StatusOK, Body: []byte(`{"rate":0.2}`)}
		if len(body) == 0 {
			ret = Return{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no region"}`)}
		}
		if _, err := SignResponse(w.Header(), NewSigner(x.tax), sc, ret, x.now); err != nil {
			t.Error(err)
		}
		w.WriteHeader(ret.Status)
		if _, err := w.Write(ret.Body); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	for _, body := range []string{`{"region":"EU"}`, ``} {
		call := x.outsideCall()
		call.Body, call.Hops, call.Traceparent = []byte(body), 3, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		r := newRequest(t, server.URL, &call)
		sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
		must(t, err)
		resp, err := server.Client().Do(r)
		must(t, err)
		reply, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		sr, err := x.client.VerifyResponse(resp, reply, r, sc)
		if err != nil {
			t.Fatalf("%v; the response says %s", err, reply)
		}
		if (sr.Return.Code == countersign.CodeFailed) != (body == "") {
			t.Errorf("the return reads %+v", sr.Return)
		}
		// Sent once more as it is, it is refused.
		again := r.Clone(t.Context())
		must(t, err)
		again.Body, err = r.GetBody()
		must(t, err)
		resp, err = server.Client().Do(again)
		must(t, err)
		reply, err = io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(string(reply), "replayed: ") {
			t.Errorf("a replay is answered with %d %s", resp.StatusCode, reply)
		}
		_, err = x.client.VerifyResponse(resp, reply, r, sc)
		wantReason(t, err, ReasonUnsigned)
	}
}

// Structs and HTTP messages have one signature base.
func TestBaseOfStructsAndHTTPAreTheSame(t *testing.T) {
	x := newExchange(t)
	call := x.outsideCall()
	call.Hops, call.Traceparent, call.ID = 2, "trace", `a"b\c`
	r := newRequest(t, "http://node.example", &call)
	sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
	must(t, err)
	var s scratch
	must(t, s.callBase(sc))
	found, err := findSignature(r.Header, TagCall)
	must(t, err)
	base, err := appendBase(nil, found.components, requestSource{r})
	must(t, err)
	if got := append(base, found.params...); !bytes.Equal(got, s.base) {
		t.Errorf("over HTTP\n%s\nfrom the struct\n%s", got, s.base)
	}
}

func TestVerifyRequestRefuses(t *testing.T) {
	set := func(name, value string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Set(name, value) }
	}
	add := func(name, value string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Add(name, value) }
	}
	del := func(name string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Del(name) }
	}
	// input changes the text of Signature-Input.
	input := func(old, new string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) {
			was := r.Header.Get("Signature-Input")
			now := strings.Replace(was, old, new, 1)
			if was == now {
				panic("the test changes nothing: " + old)
			}
			r.Header.Set("Signature-Input", now)
		}
	}
	tests := map[string]struct {
		change func(*exchange, *http.Request)
		want   Reason
	}{
		"no signature":          {del("Signature"), ReasonUnsigned},
		"no signature input":    {del("Signature-Input"), ReasonUnsigned},
		"another tag":           {input(`"countersign-call"`, `"another"`), ReasonUnsigned},
		"no tag":                {input(`;tag="countersign-call"`, ""), ReasonUnsigned},
		"tag is a token":        {input(`"countersign-call"`, "countersign-call"), ReasonUnsigned},
		"other label":           {set("Signature", "sig=:AAAA:"), ReasonMalformed},
		"signature is a string": {set("Signature", `call="AAAA"`), ReasonMalformed},
		"signature is empty":    {set("Signature", `call=::`), ReasonMalformed},
		"signature is another":  {set("Signature", `call=:AAAA:`), ReasonBadSignature},
		"label twice":           {add("Signature", `call=:AAAA:`), ReasonMalformed},
		"two of ours": {func(_ *exchange, r *http.Request) {
			r.Header.Add("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), "call=", "call2=", 1))
		}, ReasonMalformed},
		"input is no dictionary":   {set("Signature-Input", `(`), ReasonMalformed},
		"input is no list":         {set("Signature-Input", `call="x";tag="countersign-call";keyid="x"`), ReasonMalformed},
		"component is a token":     {input(`"@method"`, `method`), ReasonMalformed},
		"component upper case":     {input(`"content-type"`, `"Content-Type"`), ReasonMalformed},
		"component twice":          {input(`"@method"`, `"@method" "@method"`), ReasonMalformed},
		"component is not there":   {input(`"@method"`, `"@method" "x-not-there"`), ReasonMissingComponent},
		"component of trailers":    {input(`"@method"`, `"@method" "content-type";tr`), ReasonMalformed},
		"component of a request":   {input(`"content-type"`, `"content-type";req`), ReasonMissingComponent},
		"component with unknown":   {input(`"@method"`, `"@method";x`), ReasonMalformed},
		"component unknown":        {input(`"@method"`, `"@method" "@status"`), ReasonMalformed},
		"component wrapped":        {input(`"content-type"`, `"content-type";bs`), ReasonMissingComponent},
		"component sf of a text":   {input(`"@method"`, `"@method" "content-type";sf`), ReasonMalformed},
		"component key and bs":     {input(`"@method"`, `"@method" "content-digest";bs;key="sha-256"`), ReasonMalformed},
		"component key not there":  {input(`"@method"`, `"@method" "content-digest";key="x"`), ReasonMissingComponent},
		"method not covered":       {input(`"@method" `, ``), ReasonMissingComponent},
		"path not covered":         {input(`"@path" `, ``), ReasonMissingComponent},
		"content type not covered": {input(`"content-type" `, ``), ReasonMissingComponent},
		"digest not covered":       {input(`"content-digest" `, ``), ReasonMissingComponent},
		"caller not covered":       {input(`"countersign-caller" `, ``), ReasonMissingComponent},
		"callee not covered":       {input(`"countersign-callee" `, ``), ReasonMissingComponent},
		"deadline not covered":     {input(`"countersign-deadline" `, ``), ReasonMissingComponent},
		"ID not covered":           {input(` "countersign-id"`, ``), ReasonMissingComponent},
		"hops not covered":         {set(HeaderHops, "1"), ReasonMissingComponent},
		"traceparent not covered":  {set("Traceparent", "x"), ReasonMissingComponent},
		"query not covered": {func(_ *exchange, r *http.Request) {
			r.URL.RawQuery = "a=b"
		}, ReasonMissingComponent},
		"order changed":         {input(`"@method" "@path"`, `"@path" "@method"`), ReasonBadSignature},
		"no created":            {input(";created=", ";x="), ReasonMalformed},
		"created is a string":   {input(`;created=`, `;created="x";y=`), ReasonMalformed},
		"created twice":         {input(`;created=`, `;created=1;created=`), ReasonMalformed},
		"no expires":            {input(";expires=", ";x="), ReasonMalformed},
		"expires is negative":   {input(";expires=", ";expires=-"), ReasonMalformed},
		"no keyid":              {input(";keyid=", ";x="), ReasonMalformed},
		"keyid of another":      {input(`;keyid="`, `;keyid="x`), ReasonUnknownKey},
		"no nonce":              {input(";nonce=", ";x="), ReasonBadSignature},
		"alg is rsa":            {input(`"ed25519"`, `"rsa-pss-sha512"`), ReasonWrongAlgorithm},
		"alg is a session's":    {input(`"ed25519"`, `"hmac-sha256"`), ReasonUnknownKey},
		"alg is empty":          {input(`"ed25519"`, `""`), ReasonMalformed},
		"another method":        {func(_ *exchange, r *http.Request) { r.Method = "PUT" }, ReasonMalformed},
		"another path":          {func(_ *exchange, r *http.Request) { r.URL.Path = "/call/fx" }, ReasonWrongCallee},
		"path escaped":          {func(_ *exchange, r *http.Request) { r.URL.RawPath = "/call/t%61x" }, ReasonWrongCallee},
		"content type changed":  {set("Content-Type", "text/plain"), ReasonBadSignature},
		"content type twice":    {add("Content-Type", "application/json"), ReasonMalformed},
		"no content type":       {del("Content-Type"), ReasonMalformed},
		"no digest":             {del("Content-Digest"), ReasonMalformed},
		"digest is junk":        {set("Content-Digest", "="), ReasonMalformed},
		"digest of others":      {set("Content-Digest", "md5=:AAAA:"), ReasonBadDigest},
		"digest is a token":     {set("Content-Digest", "sha-256=a"), ReasonMalformed},
		"digest of another":     {set("Content-Digest", ContentDigest([]byte("x"))), ReasonBadDigest},
		"digest twice":          {add("Content-Digest", ContentDigest(nil)), ReasonMalformed},
		"one digest wrong":      {set("Content-Digest", ContentDigest([]byte(`{"region":"EU"}`))+", sha-512=:AAAA:"), ReasonBadDigest},
		"caller changed":        {set(HeaderCaller, `"spiffe://example.test/client/bob"`), ReasonWrongCaller},
		"caller not a string":   {set(HeaderCaller, `spiffe://example.test/client/ann`), ReasonMalformed},
		"caller not SPIFFE":     {set(HeaderCaller, `"https://example.test/client/ann"`), ReasonMalformed},
		"caller twice":          {add(HeaderCaller, `"spiffe://example.test/client/ann"`), ReasonMalformed},
		"callee is another":     {set(HeaderCallee, `"spiffe://example.test/function/fx"`), ReasonWrongCallee},
		"callee elsewhere":      {set(HeaderCallee, `"spiffe://other.test/function/tax"`), ReasonWrongCallee},
		"callee with params":    {add(HeaderCallee, `"spiffe://example.test/function/tax";a`), ReasonMalformed},
		"no deadline":           {del(HeaderDeadline), ReasonMalformed},
		"deadline changed":      {set(HeaderDeadline, "4102444800000"), ReasonBadSignature},
		"deadline is a decimal": {set(HeaderDeadline, "4102444800000.5"), ReasonMalformed},
		"deadline is negative":  {set(HeaderDeadline, "-1"), ReasonMalformed},
		"no ID":                 {del(HeaderID), ReasonMalformed},
		"ID changed":            {set(HeaderID, `"x"`), ReasonBadSignature},
		"hops is zero":          {set(HeaderHops, "0"), ReasonMalformed},
		"hops is text":          {set(HeaderHops, "many"), ReasonMalformed},
		"control character":     {set(HeaderID, "\"a\rb\""), ReasonMalformed},
		"huge field":            {set(HeaderID, `"`+strings.Repeat("a", 40<<10)+`"`), ReasonMalformed},
		"no certificate":        {del(HeaderCertificate), ReasonUnknownKey},
		"certificate twice":     {add(HeaderCertificate, ":AAAA:"), ReasonMalformed},
		"certificate is text":   {set(HeaderCertificate, "AAAA"), ReasonMalformed},
		"certificate of another": {func(x *exchange, r *http.Request) {
			r.Header.Set(HeaderCertificate, ":"+base64.StdEncoding.EncodeToString(x.tax.Certificate.DER)+":")
		}, ReasonUnknownKey},
	}
	x := newExchange(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, body, _ := x.signed(t)
			test.change(x, r)
			sc, err := x.server.VerifyRequest(r, body, x.tax.ID())
			wantReason(t, err, test.want)
			if sc != nil {
				t.Error("a refused call was returned")
			}
		})
	}
}

func TestVerifyRequestRefusesSigners(t *testing.T) {
	x := newExchange(t)
	stranger := newAuthority(t, x.now)
	elsewhere, err := identity.ClientID("other.test", "ann")
	must(t, err)
	id, from, to := x.ann.ID(), x.now.Add(-time.Hour), x.now.Add(time.Hour)
	tests := map[string]struct {
		signer *identity.Identity
		signed time.Time
		want   Reason
	}{
		"certificate of another CA":  {stranger.identity(t, id, from, to), x.now, ReasonBadCertificate},
		"certificate of other realm": {x.ca.identity(t, elsewhere, from, to), x.now, ReasonBadCertificate},
		"certificate over": {
			x.ca.identity(t, id, from, x.now.Add(-time.Second)), x.now.Add(-2 * time.Second), ReasonExpired,
		},
		"certificate to come": {
			x.ca.identity(t, id, x.now.Add(time.Second), to), x.now.Add(2 * time.Second), ReasonNotYetValid,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			call := x.outsideCall()
			call.Caller = test.signer.ID()
			r := newRequest(t, "http://node.example", &call)
			_, err := SignRequest(r, NewSigner(test.signer), call, test.signed)
			must(t, err)
			_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
			wantReason(t, err, test.want)
		})
	}
	t.Run("no bundle", func(t *testing.T) {
		r, body, _ := x.signed(t)
		v := &Verifier{Trust: func() *identity.Bundle { return nil }, Replay: x.server.Replay, Now: x.server.Now}
		_, err := v.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonBadCertificate)
	})
	t.Run("the CA was replaced", func(t *testing.T) {
		bundle := x.ca.bundle
		v := &Verifier{Trust: func() *identity.Bundle { return bundle }, Replay: x.server.Replay, Now: x.server.Now}
		r, body, _ := x.signed(t)
		_, err := v.VerifyRequest(r, body, x.tax.ID())
		must(t, err)
		bundle = stranger.bundle
		r, body, _ = x.signed(t)
		_, err = v.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonBadCertificate)
	})
	t.Run("a known certificate gets old", func(t *testing.T) {
		x := newExchange(t)
		r, body, _ := x.signed(t)
		_, err := x.server.VerifyRequest(r, body, x.tax.ID())
		must(t, err)
		r, body, _ = x.signed(t)
		x.now = x.now.Add(time.Hour + time.Second)
		_, err = x.server.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonExpired)
	})
}

// A call over HTTP may be signed in a session as well.
func TestSessionOverHTTP(t *testing.T) {
	x := newExchange(t)
	x.sessions[x.callee.ID()] = x.callee
	call := x.call()
	r := newRequest(t, "http://node.example", &call)
	sc, err := SignRequest(r, x.caller, call, x.now)
	must(t, err)
	got, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
	must(t, err)
	if r.Header.Get(HeaderCertificate) != "" || got.Signature.KeyID != sc.Signature.KeyID {
		t.Errorf("signature %+v, certificate %q", got.Signature, r.Header.Get(HeaderCertificate))
	}
	delete(x.sessions, x.callee.ID())
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonUnknownKey)
	x.server.Session = nil
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonUnknownKey)
}

// otherClient signs a call as a library would that knows RFC 9421 and docs/call-format.md, but not this code.
func (x *exchange) otherClient(t *testing.T, r *http.Request, label, list, params string) {
	t.Helper()
	digest := sha512.Sum512(x.call().Body)
	for name, value := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "X-Extra": "one",
		"Content-Digest": ContentDigest(x.call().Body) + ", sha-512=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":",
		HeaderCaller:     `"` + x.ann.ID().String() + `"`, HeaderCallee: `"` + x.tax.ID().String() + `"`,
		HeaderDeadline: "4102444800000", HeaderID: `"7"`,
		HeaderCertificate: ":" + base64.StdEncoding.EncodeToString(x.ann.Certificate.DER) + ":",
	} {
		r.Header.Set(name, value)
	}
	r.Header.Add("X-Extra", " two ")
	params = strings.ReplaceAll(params, "KEY", x.ann.Certificate.Thumbprint)
	r.Header.Set("Signature-Input", `other=("@method");tag="theirs", `+label+"="+list+params)
	r.Header.Set("Signature", `other=:AAAA:, `+label+`=:AAAA:`)
	found, err := findSignature(r.Header, TagCall)
	must(t, err)
	base, err := appendBase(nil, found.components, requestSource{r})
	must(t, err)
	value := x.ann.Key.Sign(append(base, found.params...))
	r.Header.Set("Signature", `other=:AAAA:, `+label+`=:`+base64.StdEncoding.EncodeToString(value)+`:`)
}

func TestOtherClientsAreUnderstood(t *testing.T) {
	x := newExchange(t)
	created := x.now.Unix()
	const all = `"countersign-id" "countersign-deadline" "countersign-callee" "countersign-caller" "content-digest" ` +
		`"content-type" "@path" "@method"`
	params := `;tag="countersign-call";expires=` + itoa(created+20) + `;created=` + itoa(created) + `;keyid="KEY";nonce="NONCE"`
	tests := map[string]struct{ label, list, params, query string }{
		"another order and label": {"sig1", "(" + all + ")", params, ""},
		"a star in the label":     {"*a.b-c_1", "(" + all + ")", params, ""},
		"white space":             {"sig1", "(  " + strings.ReplaceAll(all, " ", "  ") + " )", strings.ReplaceAll(params, ";", "; "), ""},
		"unknown parameters":      {"sig1", "(" + all + ")", params + `;purpose="x";n=1.50;t=tok;b=?0;d=@1;p=%"%c3%a9"`, ""},
		"more components": {"sig1", "(" + all + ` "@authority" "@scheme" "@target-uri" "@request-target" "@query" "x-extra" ` +
			`"x-extra";bs "content-digest";key="sha-512" "content-digest";sf "host" "countersign-deadline";sf)`, params, "a=b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			call := x.outsideCall()
			r := newRequest(t, "http://Node.Example:80", &call)
			r.URL.RawQuery = test.query
			x.otherClient(t, r, test.label, test.list, strings.ReplaceAll(test.params, "NONCE", "0123456789abcdef"+name))
			sc, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
			must(t, err)
			if sc.Signature.Label != test.label || sc.Signature.Algorithm != "" || sc.Call.ID != "7" {
				t.Errorf("read as %+v", sc)
			}
			// The return covers the request as the client sent it: its label, its digests.
			resp := &http.Response{StatusCode: 200, Header: http.Header{}}
			_, err = SignResponse(resp.Header, NewSigner(x.tax), sc, Return{Status: 200}, x.now)
			must(t, err)
			_, err = x.client.VerifyResponse(resp, nil, r, sc)
			must(t, err)
		})
	}
	for name, nonce := range map[string]string{"short": "123456789012345", "long": strings.Repeat("n", 129), "none": ""} {
		t.Run("nonce "+name, func(t *testing.T) {
			call := x.outsideCall()
			r := newRequest(t, "http://node.example", &call)
			x.otherClient(t, r, "sig1", "("+all+")", strings.ReplaceAll(params, "NONCE", nonce))
			_, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
			wantReason(t, err, ReasonMalformed)
		})
	}
}

func TestVerifyResponseRefuses(t *testing.T) {
	input := func(old, new string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) {
			was := r.Header.Get("Signature-Input")
			now := strings.Replace(was, old, new, 1)
			if was == now {
				panic("the test changes nothing: " + old)
			}
			r.Header.Set("Signature-Input", now)
		}
	}
	set := func(name, value string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) { r.Header.Set(name, value) }
	}
	del := func(name string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) { r.Header.Del(name) }
	}
	tests := map[string]struct {
		change func(*exchange, *http.Response)
		want   Reason
	}{
		"unsigned":               {del("Signature"), ReasonUnsigned},
		"tag of a call":          {input(TagReturn, TagCall), ReasonUnsigned},
		"status not covered":     {input(`"@status" `, ``), ReasonMissingComponent},
		"type not covered":       {input(`"content-type" `, ``), ReasonMissingComponent},
		"digest not covered":     {input(`"content-digest" `, ``), ReasonMissingComponent},
		"ID not covered":         {input(`"countersign-id" `, ``), ReasonMissingComponent},
		"code not covered":       {input(`"countersign-code" `, ``), ReasonMissingComponent},
		"explain not covered":    {input(`"countersign-explain" `, ``), ReasonMissingComponent},
		"explain changed":        {set(HeaderExplain, ":AAAA:"), ReasonBadSignature},
		"explain is a string":    {set(HeaderExplain, `"x"`), ReasonMalformed},
		"explain removed":        {del(HeaderExplain), ReasonMissingComponent},
		"callee not covered":     {input(`"countersign-callee";req `, ``), ReasonMissingComponent},
		"call's digest":          {input(`"content-digest";req `, ``), ReasonMissingComponent},
		"call not covered":       {input(` "signature";req;key="call"`, ``), ReasonMissingComponent},
		"another call's label":   {input(`;req;key="call"`, `;req;key="other"`), ReasonMissingComponent},
		"status changed":         {func(_ *exchange, r *http.Response) { r.StatusCode = 500 }, ReasonBadSignature},
		"error turned to reply":  {func(_ *exchange, r *http.Response) { r.StatusCode = 200 }, ReasonMalformed},
		"code changed":           {set(HeaderCode, "internal"), ReasonBadSignature},
		"code is a string":       {set(HeaderCode, `"failed"`), ReasonMalformed},
		"no code":                {del(HeaderCode), ReasonMalformed},
		"ID changed":             {set(HeaderID, `"x"`), ReasonWrongCall},
		"digest changed":         {set("Content-Digest", ContentDigest([]byte("x"))), ReasonBadDigest},
		"type changed":           {set("Content-Type", "text/plain"), ReasonBadSignature},
		"no certificate":         {del(HeaderCertificate), ReasonUnknownKey},
		"algorithm of a session": {input("ed25519", "hmac-sha256"), ReasonUnknownKey},
		"derived unknown":        {input(`"@status"`, `"@status" "@method"`), ReasonMalformed},
		"request's unknown":      {input(`"@status"`, `"@status" "@status";req`), ReasonMalformed},
		"signed by another function": {func(x *exchange, r *http.Response) {
			r.Header.Set(HeaderCertificate, ":"+base64.StdEncoding.EncodeToString(x.quote.Certificate.DER)+":")
			input(x.tax.Certificate.Thumbprint, x.quote.Certificate.Thumbprint)(x, r)
		}, ReasonWrongCallee},
		"from the future": {func(x *exchange, r *http.Response) { x.now = x.now.Add(-11 * time.Second) }, ReasonNotYetValid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := newExchange(t)
			request, _, sc := x.signed(t)
			ret := Return{
				Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no"}`),
				Explain: strings.Repeat("x", maxExplain),
			}
			resp := &http.Response{StatusCode: ret.Status, Header: http.Header{}}
			_, err := SignResponse(resp.Header, NewSigner(x.tax), sc, ret, x.now)
			must(t, err)
			test.change(x, resp)
			_, err = x.client.VerifyResponse(resp, ret.Body, request, sc)
			wantReason(t, err, test.want)
		})
	}
}

func TestVerifyResponseOfAnotherCall(t *testing.T) {
	x := newExchange(t)
	_, _, first := x.signed(t)
	request, _, second := x.signed(t)
	resp := &http.Response{StatusCode: 200, Header: http.Header{}}
	_, err := SignResponse(resp.Header, NewSigner(x.tax), first, Return{Status: 200}, x.now)
	must(t, err)
	_, err = x.client.VerifyResponse(resp, nil, request, second)
	wantReason(t, err, ReasonBadSignature)
	_, err = x.client.VerifyResponse(resp, nil, nil, first)
	wantReason(t, err, ReasonMalformed)
}

func TestSignRequestRefusesAnotherTarget(t *testing.T) {
	x := newExchange(t)
	for _, target := range []string{"/", "/call/fx", "/call/tax?a=b", "/call/tax?", "/call/tax/"} {
		r, err := http.NewRequest(http.MethodPost, "http://node.example"+target, nil)
		must(t, err)
		_, err = SignRequest(r, NewSigner(x.ann), x.outsideCall(), x.now)
		wantReason(t, err, ReasonWrongCallee)
	}
}
