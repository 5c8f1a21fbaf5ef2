package ingress

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign"
	"countersign/host/control"
	"countersign/vaultsign/callsig"
)

// issuer issues tokens; its keys are at a JWKS address.
type issuer struct {
	url    string
	signer jose.Signer
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, new(jose.SignerOptions).WithHeader("kid", "1"))
	must(t, err)
	return &issuer{server.URL, signer}
}

func (i *issuer) config() control.Ingress {
	return control.Ingress{Issuers: []control.Issuer{{Issuer: "https://id.example", JWKSURL: i.url, Audience: "countersign"}}}
}

func (i *issuer) token(t *testing.T, life time.Duration) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": "https://id.example", "aud": "countersign", "sub": "ann",
		"exp": time.Now().Add(life).Unix()})
	must(t, err)
	jws, err := i.signer.Sign(claims)
	must(t, err)
	raw, err := jws.CompactSerialize()
	must(t, err)
	return raw
}

// tokenCall makes a call with a token.
func withToken(t *testing.T, base, raw, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, base+"/call/quote", strings.NewReader(body))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+raw)
	r.Header.Set(callsig.HeaderID, `"call-7"`)
	r.Header.Set("Content-Digest", callsig.ContentDigest([]byte(body)))
	return r
}

func TestTokens(t *testing.T) {
	i := newIssuer(t)
	near, far := twoNodes(t, i.config())
	var seen atomic.Pointer[countersign.Invocation]
	far.run("quote", openJWT, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		seen.Store(in)
		return in.Body, nil
	}))
	raw := i.token(t, time.Minute)
	verifier := callsig.Verifier{Trust: far.trust}
	for name, n := range map[string]*node{"here": far, "through another node": near} {
		for _, test := range []struct{ protocol, base string }{{"h2", "https://"}, {"1", "http://"}} {
			t.Run(name+" by "+test.protocol, func(t *testing.T) {
				c := n.speaking(t, test.protocol, "", nil)
				r := withToken(t, test.base+n.address, raw, `{"a":1}`)
				r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				got := do(t, c, r)
				if _, err := verifier.VerifyTokenResponse(got.Response, got.body, r, functionID(t, "quote")); err != nil {
					t.Fatalf("status %d with %s does not verify: %v", got.StatusCode, got.body, err)
				}
				in := seen.Load()
				if string(got.body) != `{"a":1}` || in.Caller != "jwt:https://id.example#ann" || in.ID != "call-7" ||
					!strings.HasPrefix(in.Traceparent, "00-4bf9") || time.Until(in.Deadline) > 5*time.Second {
					t.Errorf("the function saw %+v", in)
				}
				r = withToken(t, test.base+n.address, raw, `{}`)
				r.Header = http.Header{"Authorization": r.Header["Authorization"], callsig.HeaderDeadline: {"4102444800000"}}
				got = do(t, c, r)
				if _, err := verifier.VerifyTokenResponse(got.Response, got.body, r, functionID(t, "quote")); err != nil {
					t.Errorf("a call with nothing but a token: %d %s: %v", got.StatusCode, got.body, err)
				}
			})
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	i, stranger := newIssuer(t), newIssuer(t)
	near, far := twoNodes(t, i.config())
	far.run("quote", openJWT, running(echo))
	good := i.token(t, time.Minute)
	for name, test := range map[string]struct {
		raw  string
		edit func(*http.Request)
		want countersign.Code
	}{
		"expired":      {i.token(t, -time.Minute), nil, countersign.CodeExpired},
		"forged":       {stranger.token(t, time.Minute), nil, countersign.CodeUnverified},
		"rubbish":      {"rubbish", nil, countersign.CodeUnverified},
		"twice":        {good, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+good) }, countersign.CodeUnverified},
		"basic":        {good, func(r *http.Request) { r.Header.Set("Authorization", "Basic "+good) }, countersign.CodeUnverified},
		"wrong digest": {good, func(r *http.Request) { r.Header.Set("Content-Digest", callsig.ContentDigest(nil)) }, countersign.CodeUnverified},
		"a query":      {good, func(r *http.Request) { r.URL.RawQuery = "a" }, countersign.CodeBadRequest},
		"deadline past": {good, func(r *http.Request) { r.Header.Set(callsig.HeaderDeadline, "1000") },
			countersign.CodeDeadline},
	} {
		for _, n := range []*node{near, far} {
			r := withToken(t, "https://"+n.address, test.raw, "{}")
			if test.edit != nil {
				test.edit(r)
			}
			got := do(t, n.speaking(t, "h2", "", nil), r)
			if p := got.problem(t); p.Code != test.want {
				t.Errorf("%s: answered with %+v; want %s", name, p, test.want)
			}
			if bytes.Contains(got.body, []byte(good[len(good)-20:])) {
				t.Errorf("%s: the answer holds the token", name)
			}
		}
	}
}

// TestTokensNeedTLS has a request from another machine, for which no socket is needed.
func TestTokensNeedTLS(t *testing.T) {
	i := newIssuer(t)
	f := newFixtureWith(t, newAuthority(t), i.config())
	f.run("quote", openJWT, running(echo))
	n := serving(t, f, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/call/quote", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer "+i.token(t, time.Minute))
	r.RemoteAddr = "192.0.2.1:1000"
	n.in.http.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "plain HTTP") {
		t.Errorf("answered with %d %s", w.Code, w.Body)
	}
}

// TestTokensAreNotLogged looks for a token in the log of good and bad calls.
func TestTokensAreNotLogged(t *testing.T) {
	i, stranger := newIssuer(t), newIssuer(t)
	near, far := twoNodes(t, i.config())
	far.run("quote", openJWT, running(echo))
	log := &lockedBuffer{}
	near.in.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	near.in.retry.Log = near.in.log
	for _, raw := range []string{i.token(t, time.Minute), i.token(t, -time.Minute), stranger.token(t, time.Minute), "x.secret.y"} {
		near.in.route = to(at("gone", far.address), targetOf(far, "quote"))
		do(t, near.speaking(t, "h2", "", nil), withToken(t, "https://"+near.address, raw, "{}"))
		if text := log.String(); text == "" || strings.Contains(text, raw[len(raw)/2:]) {
			t.Errorf("the log holds a token, or nothing: %s", text)
		}
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestTokensWithoutIssuerKeys has an issuer that does not answer.
func TestTokensWithoutIssuerKeys(t *testing.T) {
	i := newIssuer(t)
	config := i.config()
	config.Issuers[0].JWKSURL = "http://127.0.0.1:1/"
	f := newFixtureWith(t, newAuthority(t), config)
	f.run("quote", openJWT, running(echo))
	n := serving(t, f, nil)
	r := withToken(t, "https://"+n.address, i.token(t, time.Minute), "{}")
	if p := do(t, n.speaking(t, "h2", "", nil), r).problem(t); p.Code != countersign.CodeUnavailable || strings.Contains(p.Detail, "127.0.0.1") {
		t.Errorf("answered with %+v", p)
	}
}
