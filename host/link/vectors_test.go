package link

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

var update = flag.Bool("update", false, "write testdata/frames.json anew")

const framesFile = "testdata/frames.json"

// framesVector is testdata/frames.json; docs/call-format.md describes it for other implementers.
type framesVector struct {
	Note     string        `json:"note"`
	Exported string        `json:"exported_hex"` // by TLS, for the certificate frame
	Frames   []frameVector `json:"frames"`
}

type frameVector struct {
	Name  string `json:"name"`
	Frame string `json:"frame_hex"`
}

// vectorWorld reads the keys, the certificates and the time that the vectors of package callsig use.
func vectorWorld(t *testing.T) (bundle *identity.Bundle, now time.Time, who func(name string) *identity.Identity) {
	t.Helper()
	raw, err := os.ReadFile("../../vaultsign/callsig/testdata/vectors.json")
	must(t, err)
	var v struct {
		Now          int64             `json:"now"`
		TrustDomain  string            `json:"trust_domain"`
		Seeds        map[string]string `json:"ed25519_seeds_hex"`
		CA           string            `json:"ca_certificate_pem"`
		Certificates map[string]string `json:"certificates_der_base64"`
	}
	must(t, json.Unmarshal(raw, &v))
	bundle, err = identity.ParseBundle(v.TrustDomain, []byte(v.CA))
	must(t, err)
	return bundle, time.Unix(v.Now, 0), func(name string) *identity.Identity {
		seed, err := hex.DecodeString(v.Seeds[name])
		must(t, err)
		key, err := identity.CallKeyFrom(ed25519.NewKeyFromSeed(seed))
		must(t, err)
		der, err := base64.StdEncoding.DecodeString(v.Certificates[name])
		must(t, err)
		id, err := identity.NewIdentity(key, der)
		must(t, err)
		return id
	}
}

// TestVectors makes the frames of testdata/frames.json anew, compares them, and verifies what they carry.
func TestVectors(t *testing.T) {
	bundle, now, who := vectorWorld(t)
	quote, tax := who("quote"), who("tax")
	exported := make([]byte, 32)
	for i := range exported {
		exported[i] = byte(i)
	}
	terms := Terms{Timeout: 2 * time.Second, Idempotent: true, MaxRequest: 1 << 20, MaxResponse: 1 << 20, Release: "0123456789ab",
		Interface: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
	made := framesVector{Note: "Vectors of docs/call-format.md, with the keys, certificates and time of vaultsign/callsig/testdata/vectors.json.",
		Exported: hex.EncodeToString(exported)}
	add := func(name string, frame []byte) {
		made.Frames = append(made.Frames, frameVector{name, hex.EncodeToString(frame)})
	}
	add("terms of tax", appendControl(nil, kindTerms, 0, encodeTerms(terms, digestOf(tax.Certificate))))
	var calls, returns []callsig.Unsigned
	caller, callee := callsig.NewSigner(quote), callsig.NewSigner(tax)
	for i, id := range []string{"call-1", "call-2", "call-3", "call-4"} {
		call := callsig.Call{Caller: quote.ID(), Callee: tax.ID(), Deadline: now.Add(2500 * time.Millisecond), ID: id,
			Hops: 1, Interface: terms.Interface, Body: []byte(`{"region":"EU"}`)}
		sc, err := callsig.PrepareCall(caller, call, now)
		must(t, err)
		sc.Signature.Nonce = "bm9uY2Ugb2YgYSBjYWxs" + string(rune('0'+i))
		calls = append(calls, callsig.Unsigned{Call: sc})
	}
	must(t, callsig.SignBatch(caller, calls[:1]))
	must(t, callsig.SignBatch(caller, calls[1:]))
	for _, c := range calls {
		sr, err := callsig.PrepareReturn(callee, c.Call, callsig.Return{Status: 200, Body: []byte(`{"rate":0.2}`)}, now.Add(time.Second))
		must(t, err)
		returns = append(returns, callsig.Unsigned{Call: c.Call, Return: sr})
	}
	must(t, callsig.SignBatch(callee, returns[:1]))
	must(t, callsig.SignBatch(callee, returns[1:]))
	add("interface that quote was built with", appendControl(nil, kindInterface, 0,
		[]byte(`{"function":"tax","reply":{"kind":"any"},"request":{"kind":"any"}}`)))
	for i, c := range calls {
		add("call, signed "+string(c.Call.Signature.Algorithm), frameOf(uint64(i+1), c.Call, quote))
	}
	for i, r := range returns {
		add("return, signed "+string(r.Return.Signature.Algorithm), returnFrame(uint64(i+1), r.Return, tax))
	}
	add("refused", appendControl(nil, kindRefused, 5, encodeRefused("not_permitted", "no intention allows it")))
	add("cancel", appendControl(nil, kindCancel, 5, nil))
	add("certificate of quote", appendControl(nil, kindCertificate, 0, encodeCertificate(quote, roleCaller, exported)))
	add("goaway", appendControl(nil, kindGoAway, 0, encodeRefused("unavailable", "the instance is stopping")))
	add("ping", appendControl(nil, kindPing, 0, nil))
	if *update {
		raw, err := json.MarshalIndent(made, "", "  ")
		must(t, err)
		must(t, os.WriteFile(framesFile, append(raw, '\n'), 0o644))
	}
	raw, err := os.ReadFile(framesFile)
	must(t, err)
	var want framesVector
	must(t, json.Unmarshal(raw, &want))
	if !reflect.DeepEqual(made, want) {
		t.Errorf("the frames are not those of %s", framesFile)
	}
	verifyVectors(t, want, bundle, now, quote, tax)
}

// verifyVectors reads calls and returns out of the vectors' frames and verifies them.
func verifyVectors(t *testing.T, v framesVector, bundle *identity.Bundle, now time.Time, quote, tax *identity.Identity) {
	t.Helper()
	trust := func() *identity.Bundle { return bundle }
	peer := func(id *identity.Identity, role string, replay *callsig.ReplayCache) *keys {
		k := &keys{peer: id.ID(), role: role, trust: trust, replay: replay}
		k.keep(id.Certificate)
		return k
	}
	caller, callee := peer(quote, roleCaller, callsig.ResumeReplayCache(0, now, nil)), peer(tax, roleCallee, nil)
	exported, err := hex.DecodeString(v.Exported)
	must(t, err)
	caller.binding = exported
	calls, returns := map[uint64]*callsig.SignedCall{}, 0
	for _, f := range v.Frames {
		raw, err := hex.DecodeString(f.Frame)
		must(t, err)
		stream, payload := uint64(raw[12]), raw[lengthSize+headerSize:]
		switch kind(raw[lengthSize]) {
		case kindCall:
			in, err := new(names).parseCall(payload)
			must(t, err)
			key, err := caller.find(in.key, &in.signed.Signature, now)
			must(t, err)
			must(t, callsig.VerifyCall(key, tax.ID(), &in.signed, now))
			calls[stream] = &in.signed
		case kindReturn:
			sr, d, err := parseReturn(payload)
			must(t, err)
			key, err := callee.find(d, &sr.Signature, now)
			must(t, err)
			must(t, callsig.VerifyReturn(key, calls[stream], sr, now))
			returns++
		case kindCertificate:
			must(t, caller.learn(payload, now))
		}
	}
	if len(calls) != 4 || returns != 4 {
		t.Errorf("%d calls and %d returns", len(calls), returns)
	}
}
