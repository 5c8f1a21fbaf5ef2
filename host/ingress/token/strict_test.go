package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/strictjson"
)

// signed signs a payload as it is.
func signed(t *testing.T, key ed25519.PrivateKey, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, new(jose.SignerOptions).WithHeader("kid", "ed"))
	must(t, err)
	jws, err := signer.Sign([]byte(payload))
	must(t, err)
	raw, err := jws.CompactSerialize()
	must(t, err)
	return raw
}

// TestOneReadingOfClaims has tokens with a good signature that two readers can understand differently.
func TestOneReadingOfClaims(t *testing.T) {
	i := newIssuer(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	i.publish(map[string]crypto.Signer{"ed": key})
	v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
	later := time.Now().Add(time.Hour).Unix()
	good := fmt.Sprintf(`"iss":%q,"aud":"countersign","sub":"alice","exp":%d`, i.URL, later)
	for _, more := range []string{"", `,"role":"x","ROLE":"y"`, `,"nbf":1.5,"iat":0`, `,"address":{"sub":"x"}`} {
		caller, err := v.Verify(t.Context(), signed(t, key, "{"+good+more+"}"))
		if err != nil || caller.Subject != "alice" {
			t.Errorf("%s: %v, %v", more, caller, err)
		}
	}
	past := time.Now().Add(-time.Hour).Unix()
	for name, payload := range map[string]string{
		"sub twice":           "{" + good + `,"sub":"admin"}`,
		"SUB":                 "{" + good + `,"SUB":"admin"}`,
		"long s":              "{" + good + `,"ſub":"admin"}`,
		"long s, escaped":     "{" + good + `,"\u017fub":"admin"}`,
		"only SUB":            fmt.Sprintf(`{"iss":%q,"aud":"countersign","SUB":"admin","exp":%d}`, i.URL, later),
		"sub null":            "{" + good + `,"nbf":null,"sub":null}`,
		"iss twice":           "{" + good + fmt.Sprintf(`,"iss":%q}`, i.URL),
		"ISS":                 "{" + good + `,"ISS":"https://other.example"}`,
		"i\u017f\u017f":       "{" + good + `,"i\u017f\u017f":"https://other.example"}`,
		"aud twice":           "{" + good + `,"aud":"other"}`,
		"AUD":                 "{" + good + `,"Aud":["other"]}`,
		"aud is a number":     fmt.Sprintf(`{"iss":%q,"aud":1,"sub":"alice","exp":%d}`, i.URL, later),
		"aud holds an object": fmt.Sprintf(`{"iss":%q,"aud":["countersign",{}],"sub":"alice","exp":%d}`, i.URL, later),
		"exp twice":           fmt.Sprintf(`{"exp":%d,%s}`, past, good),
		"EXP":                 "{" + good + fmt.Sprintf(`,"EXP":%d}`, past),
		"exp a text":          fmt.Sprintf(`{"iss":%q,"aud":"countersign","sub":"alice","exp":"%d"}`, i.URL, later),
		"NBF":                 "{" + good + `,"NBF":1}`,
		"IAT":                 "{" + good + `,"iAt":1}`,
		"a foreign one twice": "{" + good + `,"x":1,"x":2}`,
		"something after it":  "{" + good + `}{"sub":"admin"}`,
		"a byte order mark":   "\xef\xbb\xbf{" + good + "}",
		"no object":           `["sub"]`,
		"half a pair":         "{" + good + `,"x":"\ud800"}`,
	} {
		caller, err := v.Verify(t.Context(), signed(t, key, payload))
		var refused *Error
		if !errors.As(err, &refused) || caller != (Caller{}) {
			t.Errorf("%s: %v, %v; want a refusal", name, caller, err)
		}
	}
}

// TestTimesThatAreNone has dates that are no time as a whole number of 64 bits, or none that anybody means.
func TestTimesThatAreNone(t *testing.T) {
	i := newIssuer(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	i.publish(map[string]crypto.Signer{"ed": key})
	v := verifierOf(t, Config{Issuer: i.URL, Audience: "countersign"})
	for _, date := range []string{"1e300", "-1e300", "1e19", "9223372036854775808", "18446744073709551616", "253402300800",
		"1e400", "-1", `"1"`, "{}", "true"} {
		for _, name := range []string{"nbf", "iat", "exp"} {
			payload := fmt.Sprintf(`{"iss":%q,"aud":"countersign","sub":"alice","exp":%d,%q:%s}`, i.URL,
				time.Now().Add(time.Hour).Unix(), name, date)
			if name == "exp" {
				payload = fmt.Sprintf(`{"iss":%q,"aud":"countersign","sub":"alice","exp":%s}`, i.URL, date)
			}
			if caller, err := v.Verify(t.Context(), signed(t, key, payload)); err == nil {
				t.Errorf("%s is %s: %v", name, date, caller)
			}
		}
	}
}

// TestClaimsOfAnotherIssuer has claims that are good but for the issuer whose key verified them.
func TestClaimsOfAnotherIssuer(t *testing.T) {
	now := time.Now()
	config := Config{Issuer: "https://id.example", Audience: "countersign"}
	for issuer, ok := range map[string]bool{config.Issuer: true, "https://ID.example": false, "": false} {
		c, err := parseClaims(fmt.Appendf(nil, `{"iss":%q,"aud":"countersign","sub":"alice","exp":%d}`, issuer, now.Add(time.Hour).Unix()))
		must(t, err)
		if caller, err := c.check(config, now); (err == nil) != ok {
			t.Errorf("%q: %v, %v", issuer, caller, err)
		}
	}
}

// TestKeysForSomethingElse has keys that their own members keep from verifying tokens.
func TestKeysForSomethingElse(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	text, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: "ed"})
	must(t, err)
	members := strings.TrimSuffix(string(text), "}")
	set := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set) }))
	defer s.Close()
	raw := signed(t, private, fmt.Sprintf(`{"iss":"id","aud":"countersign","sub":"alice","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	verify := func(keys string) error {
		set = keys
		_, err := verifierOf(t, Config{Issuer: "id", JWKSURL: s.URL, Audience: "countersign"}).Verify(t.Context(), raw)
		return err
	}
	for _, more := range []string{"", `,"use":"sig"`, `,"alg":"EdDSA"`, `,"key_ops":["verify"]`, `,"key_ops":["sign","verify"],"use":"sig"`} {
		if err := verify(`{"keys":[` + members + more + `}],"more":1}`); err != nil {
			t.Errorf("%s: %v", more, err)
		}
	}
	for _, more := range []string{`,"use":"enc"`, `,"use":""`, `,"use":"SIG"`, `,"alg":"RS256"`, `,"alg":"ES256"`, `,"alg":"none"`,
		`,"alg":"HS256"`, `,"alg":""`, `,"key_ops":[]`, `,"key_ops":["encrypt"]`, `,"key_ops":["deriveKey","Verify"]`, `,"key_ops":"verify"`,
		`,"use":"sig","use":"enc"`, `,"USE":"enc"`, `,"Key_ops":[]`, `,"use":"enc","key_ops":["verify"]`, `,"u\u017fe":"enc"`, `,"ALG":"none"`} {
		if err := verify(`{"keys":[` + members + more + `}]}`); err == nil {
			t.Errorf("%s: it verifies", more)
		}
	}
	for name, keys := range map[string]string{
		"twice":        `{"keys":[],"keys":[` + members + `}]}`,
		"another case": `{"KEYS":[` + members + `}]}`,
		"long s":       `{"key\u017f":[` + members + `}]}`,
		"twice within": `{"keys":[` + members + `,"kid":"ed"}]}`,
	} {
		if err := verify(keys); err == nil {
			t.Errorf("keys %s: it verifies", name)
		}
	}
}

// TestUnfitKeys has keys with which others than their owner can sign, or of an algorithm that tokens are not signed with.
func TestUnfitKeys(t *testing.T) {
	zero := make([]byte, ed25519.PublicKeySize)
	one := append([]byte{1}, zero[1:]...)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	even, huge := new(big.Int).Sub(good.N, big.NewInt(1)), new(big.Int).SetBit(good.N, 16384, 1)
	for _, k := range []any{ed25519.PublicKey(zero), ed25519.PublicKey(one), other.Public(), &rsa.PublicKey{N: good.N, E: 1},
		&rsa.PublicKey{N: good.N, E: 2}, &rsa.PublicKey{N: good.N, E: -1}, &rsa.PublicKey{N: even, E: 3}, &rsa.PublicKey{N: huge, E: 3},
		[]byte("a secret of all who verify"), ecKey(t), nil} {
		if isFit(jose.JSONWebKey{Key: k}) {
			t.Errorf("%v is used", k)
		}
	}
	for _, k := range []any{ecKey(t).Public(), &good.PublicKey} {
		if !isFit(jose.JSONWebKey{Key: k}) {
			t.Errorf("%T is not used", k)
		}
	}
}

// TestKeysOverPlainHTTP lets an issuer point to keys that anybody on the way can change.
func TestKeysOverPlainHTTP(t *testing.T) {
	_, attacker, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		must(t, json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: attacker.Public(), KeyID: "ed"}}}))
	}))
	defer plain.Close()
	target, where := "", ""
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			if where == "discovery" {
				http.Redirect(w, r, target, http.StatusTemporaryRedirect)
				return
			}
			uri := s.URL + "/keys"
			if where == "jwks_uri" {
				uri = target
			}
			must(t, json.NewEncoder(w).Encode(map[string]any{"issuer": s.URL, "jwks_uri": uri}))
		case "/keys":
			http.Redirect(w, r, s.URL+"/again", http.StatusFound)
		case "/again":
			http.Redirect(w, r, target, http.StatusMovedPermanently)
		case "/secure":
			must(t, json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: attacker.Public(), KeyID: "ed"}}}))
		}
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	raw := signed(t, attacker, fmt.Sprintf(`{"iss":%q,"aud":"countersign","sub":"alice","exp":%d}`, s.URL, time.Now().Add(time.Hour).Unix()))
	verify := func(c Config) error {
		c.Issuer, c.Audience, c.CACert = s.URL, "countersign", ca
		_, err := verifierOf(t, c).Verify(t.Context(), raw)
		return err
	}
	upper := strings.Replace(plain.URL, "http:", "HTTP:", 1)
	for _, where = range []string{"jwks_uri", "redirect", "discovery"} {
		for _, target = range []string{plain.URL, upper, "http://keys.example/", "ftp://keys.example/", "//" + plain.Listener.Addr().String() + "/x"} {
			if where != "jwks_uri" && strings.HasPrefix(target, "//") {
				continue // of the same scheme, by RFC 3986
			}
			if err := verify(Config{}); err == nil {
				t.Errorf("%s to %s: the token is accepted", where, target)
			}
		}
	}
	where, target = "redirect", s.URL+"/secure"
	must(t, verify(Config{}))
	must(t, verify(Config{JWKSURL: plain.URL})) // loopback, and the operator's own word
	for _, address := range []string{"http://keys.example", "http://10.1.2.3/keys", "http://[::2]/", "http://127.0.0.1.example/",
		"http://localhost.example/", "http://0.0.0.0/", "HTTP://keys.example", "https://user:secret@keys.example/"} {
		for _, c := range []Config{{Issuer: "id", JWKSURL: address, Audience: "x"}, {Issuer: address, Audience: "x"}} {
			if _, err := New([]Config{c}); err == nil {
				t.Errorf("%+v is accepted", c)
			}
		}
	}
	for _, address := range []string{"http://127.0.0.1:1/", "http://127.3.2.1/", "http://[::1]:1/", "http://localhost:1/", "https://keys.example"} {
		if _, err := New([]Config{{Issuer: "id", JWKSURL: address, Audience: "x"}}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestWhereKeysMayComeFrom has answers that name another address, as discovery and redirects do.
func TestWhereKeysMayComeFrom(t *testing.T) {
	for _, tt := range []struct {
		from, next string
		ok         bool
	}{
		{"https://id.example/", "https://keys.example/", true},
		{"http://127.0.0.1:1/", "http://127.0.0.1:2/", true},
		{"http://127.0.0.1:1/", "https://keys.example/", true},
		{"http://127.0.0.1:1/", "http://keys.example/", false},
		{"https://id.example/", "http://127.0.0.1/", false},
		{"https://id.example/", "http://keys.example/", false},
		{"https://id.example/", "https://user@keys.example/", false},
		{"https://id.example/", "file:///etc/passwd", false},
		{"https://id.example/", "/keys", false},
		{"https://id.example/", "", false},
	} {
		if err := checkNext(tt.from, tt.next); (err == nil) != tt.ok {
			t.Errorf("from %s to %q: %v", tt.from, tt.next, err)
		}
	}
}

// FuzzClaims checks that a payload of whatever bytes does no harm.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"id","aud":["a"],"sub":"x","exp":1e9,"nbf":1.5}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := parseClaims(payload)
		if err != nil {
			return
		}
		if _, err := strictjson.Parse(payload, strictjson.MaxDepth); err != nil {
			t.Error(err)
		}
		caller, err := c.check(Config{Issuer: "id", Audience: "a"}, time.Now())
		if err == nil && caller.Subject == "" {
			t.Error("a caller without a name")
		}
	})
}
