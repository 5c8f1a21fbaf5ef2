package callsig

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vectors is testdata/vectors.json; docs/call-format.md describes it for other implementers.
type vectors struct {
	Note         string            `json:"note"`
	Now          int64             `json:"now"`
	TrustDomain  string            `json:"trust_domain"`
	Seeds        map[string]string `json:"ed25519_seeds_hex"`
	CA           string            `json:"ca_certificate_pem"`
	Certificates map[string]string `json:"certificates_der_base64"`
	Calls        []callVector      `json:"calls"`
	Session      sessionVector     `json:"session"`
}

type callVector struct {
	Name   string        `json:"name"`
	Signer string        `json:"signer"` // of Certificates
	Nonce  string        `json:"nonce"`
	Method string        `json:"method"`
	Path   string        `json:"path"`
	Fields http.Header   `json:"fields"`
	Body   string        `json:"body"`
	Base   string        `json:"signature_base"`
	Return *returnVector `json:"return"`

	call Call
	ret  Return
}

type returnVector struct {
	Signer string      `json:"signer"`
	Status int         `json:"status"`
	Fields http.Header `json:"fields"`
	Body   string      `json:"body"`
	Base   string      `json:"signature_base"`
}

type sessionVector struct {
	CallerX25519 string      `json:"caller_x25519_private_hex"`
	CalleeX25519 string      `json:"callee_x25519_private_hex"`
	OfferNonce   string      `json:"offer_nonce_hex"`
	Offer        string      `json:"offer_base64"`
	Answer       string      `json:"answer_base64"`
	Secret       string      `json:"shared_secret_hex"`
	Transcript   string      `json:"transcript_hash_hex"`
	ID           string      `json:"id"`
	CallKey      string      `json:"call_key_hex"`
	ReturnKey    string      `json:"return_key_hex"`
	Expires      int64       `json:"expires"`
	Call         *callVector `json:"call"`
}

// vectorWorld holds the fixed identities of the vectors.
type vectorWorld struct {
	now        time.Time
	bundle     *identity.Bundle
	identities map[string]*identity.Identity
}

// seeds of the vectors: ann's is test-key-ed25519 of RFC 9421 appendix B.1.4.
var vectorSeeds = map[string]string{
	"ca":    "0101010101010101010101010101010101010101010101010101010101010101",
	"ann":   "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5",
	"quote": "0202020202020202020202020202020202020202020202020202020202020202",
	"tax":   "0303030303030303030303030303030303030303030303030303030303030303",
}

func newVectorWorld(t *testing.T) (*vectorWorld, *vectors) {
	t.Helper()
	const now = 1618884473 // as in the examples of RFC 9421
	w := &vectorWorld{now: time.Unix(now, 0), identities: map[string]*identity.Identity{}}
	v := &vectors{
		Note: "Vectors of docs/call-format.md. Keys are public: never use them.", Now: now, TrustDomain: testDomain,
		Seeds: vectorSeeds, Certificates: map[string]string{},
	}
	ca := seedKey(t, "ca")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.test"},
		NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(nil, template, template, ca.Public(), ca)
	must(t, err)
	root, err := x509.ParseCertificate(der)
	must(t, err)
	v.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	w.bundle, err = identity.ParseBundle(testDomain, []byte(v.CA))
	must(t, err)
	for i, id := range []identity.ID{client(t, "ann"), function(t, "quote"), function(t, "tax")} {
		uri, err := url.Parse(id.String())
		must(t, err)
		key, err := identity.CallKeyFrom(seedKey(t, id.Name()))
		must(t, err)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.Add(30 * time.Minute),
			KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri},
		}
		der, err := x509.CreateCertificate(nil, leaf, root, key.Public(), ca)
		must(t, err)
		w.identities[id.Name()], err = identity.NewIdentity(key, der)
		must(t, err)
		v.Certificates[id.Name()] = base64.StdEncoding.EncodeToString(der)
	}
	return w, v
}

func seedKey(t *testing.T, name string) ed25519.PrivateKey {
	t.Helper()
	seed, err := hex.DecodeString(vectorSeeds[name])
	must(t, err)
	return ed25519.NewKeyFromSeed(seed)
}

// fixedSigner signs with a nonce that is known beforehand.
type fixedSigner struct {
	*IdentitySigner
	nonce string
}

func (s fixedSigner) newNonce() string { return s.nonce }

// make computes what the call and its return look like on the wire.
func (c *callVector) make(t *testing.T, w *vectorWorld, caller, callee Signer) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://node.example"+Path(c.call.Callee), nil)
	must(t, err)
	sc, err := SignRequest(r, caller, c.call, w.now)
	must(t, err)
	c.Method, c.Path, c.Fields, c.Body, c.Nonce = r.Method, r.URL.Path, r.Header, string(c.call.Body), sc.Signature.Nonce
	var s scratch
	must(t, s.callBase(sc))
	c.Base = string(s.base)
	header := http.Header{}
	sr, err := SignResponse(header, callee, sc, c.ret, w.now.Add(time.Second))
	must(t, err)
	must(t, s.returnBase(sc, sr))
	c.Return = &returnVector{
		Signer: c.call.Callee.Name(), Status: c.ret.Status, Fields: header, Body: string(c.ret.Body), Base: string(s.base),
	}
}

func (w *vectorWorld) calls(t *testing.T) []callVector {
	t.Helper()
	body := []byte(`{"region":"EU"}`)
	ann, tax, quote := w.identities["ann"].ID(), w.identities["tax"].ID(), w.identities["quote"].ID()
	deadline := w.now.Add(2500 * time.Millisecond)
	list := []callVector{
		{
			Name: "a client calls a function, which answers", Signer: "ann", Nonce: "bm9uY2Ugb2YgYSBjYWxs",
			call: Call{Caller: ann, Callee: tax, Deadline: deadline, ID: "call-1", Body: body},
			ret:  Return{Status: 200, Body: []byte(`{"rate":0.2}`)},
		},
		{
			Name: "a function calls a function, which fails", Signer: "quote", Nonce: "YW5vdGhlciBub25jZSE",
			call: Call{
				Caller: quote, Callee: tax, Deadline: deadline, ID: `call-"2"`, Body: body, Hops: 1,
				Interface:   anInterface,
				Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			},
			ret: Return{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no such region"}`)},
		},
		{
			Name: "empty bodies, explained", Signer: "ann", Nonce: "MDEyMzQ1Njc4OWFiY2RlZg",
			call: Call{Caller: ann, Callee: tax, Deadline: deadline, ID: "3", Explain: true}, ret: Return{Status: 200, Explain: "[]"},
		},
	}
	for i := range list {
		c := &list[i]
		c.make(t, w, fixedSigner{NewSigner(w.identities[c.Signer]), c.Nonce}, NewSigner(w.identities["tax"]))
	}
	return list
}

func (w *vectorWorld) session(t *testing.T) sessionVector {
	t.Helper()
	v := sessionVector{
		CallerX25519: "0404040404040404040404040404040404040404040404040404040404040404",
		CalleeX25519: "0505050505050505050505050505050505050505050505050505050505050505",
		OfferNonce:   "000102030405060708090a0b0c0d0e0f",
	}
	ours, theirs := x25519(t, v.CallerX25519), x25519(t, v.CalleeX25519)
	nonce, err := hex.DecodeString(v.OfferNonce)
	must(t, err)
	quote, tax := w.identities["quote"], w.identities["tax"]
	offer := offerWith(quote, tax.ID(), ours, nonce, w.now)
	callee, answer, err := acceptWith(w.bundle, tax, offer.Message(), theirs, w.now)
	must(t, err)
	caller, err := offer.Complete(w.bundle, answer, w.now)
	must(t, err)
	secret, err := ours.ECDH(theirs.PublicKey())
	must(t, err)
	transcript := hashParts(transcriptLabel, offer.Message(), answer)
	callKey, err := sessionKey(secret, transcript, calls)
	must(t, err)
	returnKey, err := sessionKey(secret, transcript, returns)
	must(t, err)
	v.Offer, v.Answer = base64.StdEncoding.EncodeToString(offer.Message()), base64.StdEncoding.EncodeToString(answer)
	v.Secret, v.Transcript, v.ID = hex.EncodeToString(secret), hex.EncodeToString(transcript), caller.ID()
	v.CallKey, v.ReturnKey, v.Expires = hex.EncodeToString(callKey), hex.EncodeToString(returnKey), caller.Expires().Unix()
	v.Call = &callVector{
		Name: "the first call of a session", Signer: "quote",
		call: Call{
			Caller: quote.ID(), Callee: tax.ID(), Deadline: w.now.Add(time.Second), ID: "call-4", Hops: 1,
			Body: []byte(`{"region":"EU"}`), Interface: anInterface,
		},
		ret: Return{Status: 200, Body: []byte(`{"rate":0.2}`)},
	}
	v.Call.make(t, w, caller, callee)
	return v
}

func x25519(t *testing.T, text string) *ecdh.PrivateKey {
	t.Helper()
	b, err := hex.DecodeString(text)
	must(t, err)
	key, err := ecdh.X25519().NewPrivateKey(b)
	must(t, err)
	return key
}

// TestVectors computes the vectors anew and compares them with the file.
func TestVectors(t *testing.T) {
	w, v := newVectorWorld(t)
	v.Calls, v.Session = w.calls(t), w.session(t)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	must(t, e.Encode(v))
	if *update {
		must(t, os.WriteFile(vectorsFile, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(vectorsFile)
	must(t, err)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("the implementation and %s differ; if the format was changed on purpose, run with -update\n%s",
			vectorsFile, out.Bytes())
	}
}

// TestVectorsVerify verifies the messages of the file, as another implementation would.
func TestVectorsVerify(t *testing.T) {
	data, err := os.ReadFile(vectorsFile)
	must(t, err)
	var v vectors
	must(t, json.Unmarshal(data, &v))
	bundle, err := identity.ParseBundle(v.TrustDomain, []byte(v.CA))
	must(t, err)
	now := time.Unix(v.Now, 0)
	clock := func() time.Time { return now.Add(2 * time.Second) }
	trust := func() *identity.Bundle { return bundle }
	session := &Session{
		id: v.Session.ID, caller: function(t, "quote"), callee: function(t, "tax"), isCallee: true,
		expires: time.Unix(v.Session.Expires, 0),
	}
	for d, text := range []string{v.Session.CallKey, v.Session.ReturnKey} {
		key, err := hex.DecodeString(text)
		must(t, err)
		session.macs[d].init(key)
	}
	server := &Verifier{
		Trust: trust, Replay: ResumeReplayCache(0, now, nil), Now: clock,
		Session: func(id string) *Session {
			if id == session.id {
				return session
			}
			return nil
		},
	}
	for _, c := range append(v.Calls, *v.Session.Call) {
		t.Run(c.Name, func(t *testing.T) {
			r, err := http.NewRequest(c.Method, "http://node.example"+c.Path, nil)
			must(t, err)
			r.Header = c.Fields
			sc, err := server.VerifyRequest(r, []byte(c.Body), function(t, "tax"))
			must(t, err)
			if sc.Call.Caller.Name() != c.Signer || sc.Signature.Nonce != c.Nonce {
				t.Errorf("read %+v", sc)
			}
			_, err = server.VerifyRequest(r, []byte(c.Body), function(t, "tax"))
			wantReason(t, err, ReasonReplayed)
			back := &Verifier{Trust: trust, Now: clock, Session: func(string) *Session {
				other := &Session{id: session.id, caller: session.caller, callee: session.callee, expires: session.expires}
				key, err := hex.DecodeString(v.Session.ReturnKey)
				must(t, err)
				other.macs[returns].init(key)
				return other
			}}
			resp := &http.Response{StatusCode: c.Return.Status, Header: c.Return.Fields}
			sr, err := back.VerifyResponse(resp, []byte(c.Return.Body), r, sc)
			must(t, err)
			if sr.CallID != sc.Call.ID {
				t.Errorf("read %+v", sr)
			}
		})
	}
}
