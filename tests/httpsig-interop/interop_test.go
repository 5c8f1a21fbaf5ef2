// Package interop lets an RFC 9421 library that is not ours sign calls and verify returns, and the other way round. It
// is a module of its own, so that the product does not depend on that library.
package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/yaronf/httpsign"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const domain = "example.test"

// world is a CA, an outside client whose key the other library uses, and a function.
type world struct {
	bundle   *identity.Bundle
	clientID identity.ID
	client   *party
	function *party
}

type party struct {
	private  ed25519.PrivateKey
	identity *identity.Identity
}

func (p *party) keyID() string { return p.identity.Certificate.Thumbprint }

func (p *party) certificateField() string {
	return ":" + base64.StdEncoding.EncodeToString(p.identity.Certificate.DER) + ":"
}

func newWorld(t *testing.T) *world {
	t.Helper()
	authority := identitytest.NewAuthority(t, domain, time.Now())
	w := &world{bundle: authority.Bundle}
	var err error
	w.clientID, err = identity.ClientID(domain, "ann")
	must(t, err)
	tax, err := identity.FunctionID(domain, "tax")
	must(t, err)
	issue := func(id identity.ID) *party {
		private, certified := authority.Certify(t, id, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
		return &party{private: private, identity: certified}
	}
	w.client, w.function = issue(w.clientID), issue(tax)
	return w
}

// node is a server that verifies calls and signs returns with our code.
func (w *world) node(t *testing.T) *httptest.Server {
	t.Helper()
	verifier := &callsig.Verifier{
		Trust: func() *identity.Bundle { return w.bundle }, Replay: callsig.ResumeReplayCache(0, time.Now(), nil),
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		call, err := verifier.VerifyRequest(r, body, w.function.identity.ID())
		var refusal *callsig.Error
		if errors.As(err, &refusal) {
			http.Error(rw, string(refusal.Reason), http.StatusUnauthorized)
			return
		}
		ret := callsig.Return{Status: http.StatusOK, Body: append([]byte("for "+call.Call.Caller.Name()+": "), body...)}
		signer := callsig.NewSigner(w.function.identity)
		if _, err := callsig.SignResponse(rw.Header(), signer, call, ret, time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := rw.Write(ret.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// request is a call as docs/call-format.md has it, without the signature.
func (w *world) request(t *testing.T, node string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, node+"/call/tax", bytes.NewReader(body))
	must(t, err)
	digest, err := httpsign.GenerateContentDigestHeader(&r.Body, []string{httpsign.DigestSha256})
	must(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Content-Digest": digest,
		"Countersign-Caller":      `"spiffe://example.test/client/ann"`,
		"Countersign-Callee":      `"spiffe://example.test/function/tax"`,
		"Countersign-Deadline":    strconv.FormatInt(time.Now().Add(5*time.Second).UnixMilli(), 10),
		"Countersign-Id":          `"interop-1"`,
		"Countersign-Certificate": w.client.certificateField(),
	} {
		r.Header.Set(name, value)
	}
	return r
}

// sign signs with the other library.
func (w *world) sign(t *testing.T, r *http.Request, label, nonce string, fields httpsign.Fields) {
	t.Helper()
	config := httpsign.NewSignConfig().SetKeyID(w.client.keyID()).SetTag("countersign-call").SetNonce(nonce).
		SetExpires(time.Now().Add(20 * time.Second).Unix())
	signer, err := httpsign.NewEd25519Signer(w.client.private, config, fields)
	must(t, err)
	input, signature, err := httpsign.SignRequest(label, *signer, r)
	must(t, err)
	r.Header.Set("Signature-Input", input)
	r.Header.Set("Signature", signature)
}

var callFields = []string{
	"@method", "@path", "content-type", "content-digest", "countersign-caller", "countersign-callee",
	"countersign-deadline", "countersign-id",
}

func send(t *testing.T, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	return resp, body
}

// TestTheirCallOurReturn is what an outside client in another language does: their library signs, our node verifies and
// answers, their library verifies the return against the call.
func TestTheirCallOurReturn(t *testing.T) {
	w := newWorld(t)
	node := w.node(t)
	reversed := make([]string, len(callFields))
	for i, f := range callFields {
		reversed[len(callFields)-1-i] = f
	}
	tests := map[string]struct {
		label  string
		fields httpsign.Fields
	}{
		"as documented": {"call", httpsign.Headers(callFields...)},
		"own label":     {"sig1", httpsign.Headers(callFields...)},
		"own order":     {"sig1", httpsign.Headers(reversed...)},
		"more components": {
			"sig1", httpsign.Headers(append([]string{"@authority", "@target-uri", "@query"}, callFields...)...),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.request(t, node.URL, []byte(`{"region":"EU"}`))
			w.sign(t, r, test.label, rand.Text(), test.fields)
			resp, body := send(t, r)
			if resp.StatusCode != http.StatusOK || string(body) != `for ann: {"region":"EU"}` {
				t.Fatalf("answered %d %s", resp.StatusCode, body)
			}
			w.verifyReturn(t, resp, r, test.label, "")

			other := w.request(t, node.URL, []byte(`{"region":"EU"}`))
			w.sign(t, other, test.label, rand.Text(), test.fields)
			w.verifyReturn(t, resp, other, test.label, "another call")
		})
	}
}

// verifyReturn verifies with the other library; fails is empty, or why it must fail.
func (w *world) verifyReturn(t *testing.T, resp *http.Response, r *http.Request, label, fails string) {
	t.Helper()
	fields := httpsign.Headers("@status", "content-type", "content-digest", "countersign-id")
	fields.AddHeaderExt("countersign-callee", false, false, true, false)
	fields.AddHeaderExt("content-digest", false, false, true, false)
	fields.AddDictHeaderExt("signature", label, false, true, false)
	config := httpsign.NewVerifyConfig().SetKeyID(w.function.keyID()).SetAllowedTags([]string{"countersign-return"}).
		SetAllowedAlgs([]string{"ed25519"})
	verifier, err := httpsign.NewEd25519Verifier(w.function.identity.Certificate.PublicKey(), config, fields)
	must(t, err)
	err = httpsign.VerifyResponse("return", *verifier, resp, r)
	if (err != nil) != (fails != "") {
		t.Errorf("the other library says of the return (%s): %v", fails, err)
	}
}

func TestTheirCallIsRefused(t *testing.T) {
	w := newWorld(t)
	node := w.node(t)
	used := rand.Text()
	first := w.request(t, node.URL, nil)
	w.sign(t, first, "call", used, httpsign.Headers(callFields...))
	if resp, body := send(t, first); resp.StatusCode != http.StatusOK {
		t.Fatalf("answered %d %s", resp.StatusCode, body)
	}
	tests := map[string]struct {
		nonce  string
		fields []string
		change func(*http.Request)
		want   string
	}{
		"nonce used before":    {used, callFields, func(*http.Request) {}, "replayed"},
		"deadline not covered": {rand.Text(), callFields[:6], func(*http.Request) {}, "missing_component"},
		"changed afterwards": {rand.Text(), callFields, func(r *http.Request) {
			r.Header.Set("Countersign-Id", `"another"`)
		}, "bad_signature"},
		"another body": {rand.Text(), callFields, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte("x"))), 1
		}, "bad_digest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.request(t, node.URL, nil)
			w.sign(t, r, "call", test.nonce, httpsign.Headers(test.fields...))
			test.change(r)
			if resp, body := send(t, r); resp.StatusCode != http.StatusUnauthorized || string(body) != test.want+"\n" {
				t.Errorf("answered %d %s, want %s", resp.StatusCode, body, test.want)
			}
		})
	}
}

// TestOurCallTheirVerifier signs a call with our code; the other library verifies it.
func TestOurCallTheirVerifier(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequest(http.MethodPost, "http://node.example/call/tax", nil)
	must(t, err)
	call := callsig.Call{
		Caller: w.clientID, Callee: w.function.identity.ID(), Deadline: time.Now().Add(time.Second), ID: "interop-2",
		Body: []byte(`{"region":"EU"}`), Hops: 2, Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	_, err = callsig.SignRequest(r, callsig.NewSigner(w.client.identity), call, time.Now())
	must(t, err)
	config := httpsign.NewVerifyConfig().SetKeyID(w.client.keyID()).SetAllowedTags([]string{"countersign-call"})
	fields := httpsign.Headers(append([]string{"traceparent", "countersign-hops"}, callFields...)...)
	verifier, err := httpsign.NewEd25519Verifier(w.client.identity.Certificate.PublicKey(), config, fields)
	must(t, err)
	must(t, httpsign.VerifyRequest("call", *verifier, r))
	digests := r.Header.Values("Content-Digest")
	must(t, httpsign.ValidateContentDigestHeader(digests, &r.Body, []string{httpsign.DigestSha256}))
	r.Header.Set("Countersign-Hops", "1")
	if err := httpsign.VerifyRequest("call", *verifier, r); err == nil {
		t.Error("the other library accepts a changed call")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
