package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign"
)

// issuer is a provider of tokens with discovery and a JWKS, which counts what it is asked.
type issuer struct {
	*httptest.Server
	t       *testing.T
	keys    atomic.Pointer[jose.JSONWebKeySet]
	away    atomic.Bool
	fetches atomic.Int64
	names   string // issuer in the discovery document, if not the server's URL
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	i.keys.Store(&jose.JSONWebKeySet{})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch {
		case i.away.Load():
			http.Error(w, "away", http.StatusBadGateway)
			return
		case r.URL.Path == "/.well-known/openid-configuration":
			name := i.URL
			if i.names != "" {
				name = i.names
			}
			answer = map[string]any{"issuer": name, "jwks_uri": i.URL + "/keys"}
		case r.URL.Path == "/keys":
			i.fetches.Add(1)
			answer = i.keys.Load()
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// publish makes the public halves of keys the issuer's key set.
func (i *issuer) publish(keys map[string]crypto.Signer) {
	set := &jose.JSONWebKeySet{}
	for id, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: id, Use: "sig"})
	}
	i.keys.Store(set)
}

// token signs claims; those that are not given are good ones, and a nil one is left out.
func (i *issuer) token(alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{"iss": i.URL, "aud": "countersign", "sub": "ann", "exp": time.Now().Add(time.Minute).Unix()}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	options := new(jose.SignerOptions)
	if id != "" {
		options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	must(i.t, err)
	payload, err := json.Marshal(all)
	must(i.t, err)
	jws, err := signer.Sign(payload)
	must(i.t, err)
	raw, err := jws.CompactSerialize()
	must(i.t, err)
	return raw
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return k
}

func verifierOf(t *testing.T, configs ...Config) *Verifier {
	t.Helper()
	v, err := New(configs)
	must(t, err)
	return v
}

func TestVerify(t *testing.T) {
	i := newIssuer(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	ec, stranger := ecKey(t), ecKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	i.publish(map[string]crypto.Signer{"rsa": rsaKey, "ec": ec, "ed": ed, "weak": weak})
	hour := time.Now().Add(time.Hour).Unix()
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+i.URL+`","aud":"countersign","sub":"ann","exp":4102444800}`)) + "."
	for name, test := range map[string]struct {
		raw  string
		want countersign.Code
	}{
		"RS256":          {i.token(jose.RS256, rsaKey, "rsa", nil), ""},
		"ES256":          {i.token(jose.ES256, ec, "ec", nil), ""},
		"EdDSA":          {i.token(jose.EdDSA, ed, "ed", nil), ""},
		"no key ID":      {i.token(jose.ES256, ec, "", nil), ""},
		"several aud":    {i.token(jose.ES256, ec, "ec", map[string]any{"aud": []string{"x", "countersign"}}), ""},
		"just expired":   {i.token(jose.ES256, ec, "ec", map[string]any{"exp": time.Now().Add(-5 * time.Second).Unix()}), ""},
		"none":           {none, countersign.CodeUnverified},
		"HS256":          {i.token(jose.HS256, []byte(strings.Repeat("k", 32)), "ec", nil), countersign.CodeUnverified},
		"PS256":          {i.token(jose.PS256, rsaKey, "rsa", nil), countersign.CodeUnverified},
		"short RSA key":  {i.token(jose.RS256, weak, "weak", nil), countersign.CodeUnverified},
		"another key":    {i.token(jose.ES256, stranger, "ec", nil), countersign.CodeUnverified},
		"unknown key":    {i.token(jose.ES256, stranger, "stranger", nil), countersign.CodeUnverified},
		"other issuer":   {i.token(jose.ES256, ec, "ec", map[string]any{"iss": "https://evil.example"}), countersign.CodeUnverified},
		"other audience": {i.token(jose.ES256, ec, "ec", map[string]any{"aud": "somebody"}), countersign.CodeUnverified},
		"no audience":    {i.token(jose.ES256, ec, "ec", map[string]any{"aud": nil}), countersign.CodeUnverified},
		"no subject":     {i.token(jose.ES256, ec, "ec", map[string]any{"sub": nil}), countersign.CodeUnverified},
		"bad subject":    {i.token(jose.ES256, ec, "ec", map[string]any{"sub": "a\nb"}), countersign.CodeUnverified},
		"long subject":   {i.token(jose.ES256, ec, "ec", map[string]any{"sub": strings.Repeat("a", maxSubject+1)}), countersign.CodeUnverified},
		"expired":        {i.token(jose.ES256, ec, "ec", map[string]any{"exp": time.Now().Add(-20 * time.Second).Unix()}), countersign.CodeExpired},
		"no expiry":      {i.token(jose.ES256, ec, "ec", map[string]any{"exp": nil}), countersign.CodeExpired},
		"not yet":        {i.token(jose.ES256, ec, "ec", map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), countersign.CodeExpired},
		"issued later":   {i.token(jose.ES256, ec, "ec", map[string]any{"iat": hour}), countersign.CodeExpired},
		"too long":       {strings.Repeat("a", maxToken+1), countersign.CodeUnverified},
		"rubbish":        {"a.b.c", countersign.CodeUnverified},
		"empty":          {"", countersign.CodeUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
			got, err := v.Verify(context.Background(), test.raw)
			if test.want == "" {
				must(t, err)
				if got.String() != "jwt:"+i.URL+"#ann" {
					t.Errorf("the caller is %s", got)
				}
				return
			}
			var refused *Error
			if !errors.As(err, &refused) || refused.Code() != test.want {
				t.Fatalf("error %v; want a refusal with code %s", err, test.want)
			}
			if len(test.raw) > 10 && strings.Contains(err.Error(), test.raw[len(test.raw)-10:]) {
				t.Errorf("the error holds a part of the token: %v", err)
			}
		})
	}
}

func TestKeysAreKept(t *testing.T) {
	i := newIssuer(t)
	first, second := ecKey(t), ecKey(t)
	i.publish(map[string]crypto.Signer{"1": first})
	v := verifierOf(t, Config{Issuer: "other", JWKSURL: "http://127.0.0.1:1/", Audience: "x"},
		Config{Issuer: i.URL, JWKSURL: i.URL + "/keys", Audience: "countersign"})
	var ahead atomic.Int64 // of the clock: fetches run beside the test
	v.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	wait := func(d time.Duration) { ahead.Add(int64(d)) }
	verify := func(key *ecdsa.PrivateKey, id string) error {
		_, err := v.Verify(context.Background(), i.token(jose.ES256, key, id, map[string]any{"exp": v.now().Add(time.Hour).Unix()}))
		return err
	}
	for range 3 {
		must(t, verify(first, "1"))
	}
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	// Unknown keys make it look again, but not all the time.
	i.publish(map[string]crypto.Signer{"1": first, "2": second})
	for range 3 {
		if err := verify(second, "2"); err == nil {
			t.Fatal("keys were fetched again at once")
		}
	}
	wait(fetchPause + time.Second)
	must(t, verify(second, "2"))
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("keys were fetched %d times", n)
	}
	// While the issuer is away its keys are used on, whatever their age.
	i.away.Store(true)
	for range 3 {
		wait(fetchPeriod + time.Second)
		must(t, verify(first, "1"))
	}
	// A key that was withdrawn is gone a while after the issuer is back: the fetch runs beside the first calls.
	i.publish(map[string]crypto.Signer{"2": second})
	i.away.Store(false)
	for end := time.Now().Add(5 * time.Second); ; {
		wait(fetchPause + time.Second)
		if err := verify(first, "1"); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a withdrawn key is used on")
		}
		time.Sleep(5 * time.Millisecond)
	}
	must(t, verify(second, "2"))
}

func TestIssuerThatCannotBeAsked(t *testing.T) {
	key := ecKey(t)
	for name, edit := range map[string]func(*issuer){
		"away":                func(i *issuer) { i.away.Store(true) },
		"of another name":     func(i *issuer) { i.names = "https://other.example" },
		"without a JWKS":      func(i *issuer) { i.keys.Store(nil) },
		"that does not speak": func(i *issuer) { i.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(map[string]crypto.Signer{"1": key})
			edit(i)
			v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
			_, err := v.Verify(context.Background(), i.token(jose.ES256, key, "1", nil))
			var unreachable *UnreachableError
			var refused *Error
			if name == "without a JWKS" { // an empty set is an answer
				if !errors.As(err, &refused) {
					t.Errorf("error %v; want a refusal", err)
				}
			} else if !errors.As(err, &unreachable) || !unreachable.Unreachable() {
				t.Errorf("error %v; want one about reaching the issuer", err)
			}
		})
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	good := Config{Issuer: "https://id.example", Audience: "x"}
	for name, configs := range map[string][]Config{
		"no issuer":         {{Audience: "x", JWKSURL: "https://id.example"}},
		"a name, no JWKS":   {{Issuer: "id", Audience: "x"}},
		"with a #":          {{Issuer: "https://id.example/#a", Audience: "x"}},
		"no audience":       {{Issuer: "https://id.example"}},
		"a bad JWKS URL":    {{Issuer: "id", JWKSURL: "ftp://id.example", Audience: "x"}},
		"twice":             {good, good},
		"a missing CA file": {{Issuer: "https://id.example", Audience: "x", CACert: "/nonexistent"}},
	} {
		if _, err := New(configs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New([]Config{good}); err != nil {
		t.Error(err)
	}
}

// TestSizeOfTokens has a token that is right but for its size.
func TestSizeOfTokens(t *testing.T) {
	i, key := newIssuer(t), ecKey(t)
	i.publish(map[string]crypto.Signer{"1": key})
	v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
	for size, fits := range map[int]bool{maxToken / 2: true, maxToken: false} {
		raw := i.token(jose.ES256, key, "1", map[string]any{"filling": strings.Repeat("x", size)})
		if _, err := v.Verify(t.Context(), raw); (err == nil) != fits {
			t.Errorf("a token of %d bytes: %v", len(raw), err)
		}
	}
}

// TestKeysOfIssuers picks those that verify tokens out of a key set.
func TestKeysOfIssuers(t *testing.T) {
	text := func(k jose.JSONWebKey) json.RawMessage {
		b, err := k.MarshalJSON()
		must(t, err)
		return b
	}
	private := ecKey(t)
	if n := len(usable([]json.RawMessage{text(jose.JSONWebKey{Key: private.Public(), KeyID: "1", Use: "sig"})})); n != 1 {
		t.Errorf("of a key as it must be, %d are used", n)
	}
	for name, k := range map[string]jose.JSONWebKey{
		"for encryption": {Key: private.Public(), KeyID: "1", Use: "enc"},
		"symmetric":      {Key: []byte("a secret that all who verify have"), KeyID: "1", Use: "sig"},
		"private":        {Key: private, KeyID: "1", Use: "sig"},
	} {
		if list := usable([]json.RawMessage{text(k)}); len(list) != 0 {
			t.Errorf("a key that is %s is used", name)
		}
	}
	many := make([]json.RawMessage, maxKeys+9)
	for i := range many {
		many[i] = text(jose.JSONWebKey{Key: private.Public(), Use: "sig"})
	}
	if n := len(usable(many)); n != maxKeys {
		t.Errorf("%d keys are used; want %d", n, maxKeys)
	}
}

// TestAlgorithmsOfTokens has tokens that are signed with the key of their issuer, by an algorithm that is not accepted.
func TestAlgorithmsOfTokens(t *testing.T) {
	i := newIssuer(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	i.publish(map[string]crypto.Signer{"1": key})
	v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
	for alg, fits := range map[jose.SignatureAlgorithm]bool{jose.RS256: true, jose.RS512: false, jose.PS256: false} {
		if _, err := v.Verify(t.Context(), i.token(alg, key, "1", nil)); (err == nil) != fits {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// TestForgedTokens has tokens that name a key of their issuer, which did not sign them.
func TestForgedTokens(t *testing.T) {
	i, key := newIssuer(t), ecKey(t)
	i.publish(map[string]crypto.Signer{"1": key})
	v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
	good, other := i.token(jose.ES256, key, "1", nil), i.token(jose.ES256, key, "1", map[string]any{"sub": "admin"})
	g, o := strings.Split(good, "."), strings.Split(other, ".")
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"another key":       i.token(jose.ES256, ecKey(t), "1", nil),
		"another payload":   strings.Join([]string{g[0], o[1], g[2]}, "."),
		"another signature": strings.Join([]string{g[0], g[1], o[2]}, "."),
		"no signature":      strings.Join([]string{g[0], g[1], ""}, "."),
	} {
		var refused *Error
		if caller, err := v.Verify(t.Context(), raw); !errors.As(err, &refused) {
			t.Errorf("%s: %v, %v", name, caller, err)
		}
	}
}
