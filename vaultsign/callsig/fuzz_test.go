package callsig

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzVerifyRequest feeds a verifier with whole requests: whatever comes, it refuses with an *Error or the call is the
// one that was signed.
func FuzzVerifyRequest(f *testing.F) {
	x := newExchange(f)
	r, body, _ := x.signed(f)
	var text bytes.Buffer
	must(f, r.Write(&text))
	f.Add(text.Bytes())
	f.Add([]byte(rfcRequest + "\r\n" + rfcBody))
	more := []byte(`"@method" "@authority" "signature";key="call";sf `)
	f.Add(bytes.Replace(text.Bytes(), []byte(`"@method" `), more, 1))
	f.Add(bytes.Replace(text.Bytes(), []byte("POST"), []byte("GET"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		sc, err := x.server.VerifyRequest(r, body, x.tax.ID())
		if err == nil {
			if sc.Call.Caller != x.ann.ID() || !bytes.Equal(sc.Call.Body, body) {
				t.Fatalf("verified %+v", sc.Call)
			}
			return
		}
		wantAnyReason(t, err)
	})
}

func FuzzVerifyResponse(f *testing.F) {
	x := newExchange(f)
	request, _, sc := x.signed(f)
	resp := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
	_, err := SignResponse(resp.Header, NewSigner(x.tax), sc, Return{Status: 200}, x.now)
	must(f, err)
	var text bytes.Buffer
	must(f, resp.Write(&text))
	f.Add(text.Bytes())
	f.Add([]byte("HTTP/1.1 200 OK\r\nSignature: a=:AA==:\r\nSignature-Input: a=();tag=\"countersign-return\"\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), request)
		if err != nil {
			return
		}
		if _, err := x.client.VerifyResponse(resp, nil, request, sc); err != nil {
			wantAnyReason(t, err)
		}
	})
}

// FuzzSignatureInput reads members of Signature-Input: what is read has one serialization.
func FuzzSignatureInput(f *testing.F) {
	for _, s := range []string{
		`call=("@method" "@path");created=1;keyid="k"`, `a=("x";sf "x";bs "x";key="y" "x";req);keyid="k"`,
		`a=();keyid="k";alg="ed25519";expires=-1`, `a=("@query-param";name="p");keyid="k"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := readDict(http.Header{"Signature-Input": {s}}, fieldSignatureInput)
		if err != nil {
			wantAnyReason(t, err)
			return
		}
		for i := range d {
			found, err := readSignature(&d[i], []byte{1})
			if err != nil {
				wantAnyReason(t, err)
				continue
			}
			if strings.ContainsAny(string(found.params), "\r\n") {
				t.Fatalf("a line break in %q", found.params)
			}
		}
	})
}

func FuzzAccept(f *testing.F) {
	p := newPair(f)
	offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
	must(f, err)
	_, answer, err := Accept(p.ca.Bundle, p.tax, offer.Message(), p.now)
	must(f, err)
	f.Add(offer.Message())
	f.Add(answer)
	f.Add([]byte(offerLabel))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := Accept(p.ca.Bundle, p.tax, data, p.now); err == nil && !bytes.Equal(data, offer.Message()) {
			t.Fatal("accepted an offer that nobody made")
		} else if err != nil {
			wantAnyReason(t, err)
		}
		if _, err := offer.Complete(p.ca.Bundle, data, p.now); err == nil && !bytes.Equal(data, answer) {
			t.Fatal("completed with an answer that nobody gave")
		} else if err != nil {
			wantAnyReason(t, err)
		}
	})
}

func wantAnyReason(t *testing.T, err error) {
	t.Helper()
	refusal, ok := err.(*Error)
	if !ok {
		t.Fatalf("got %v (%T), want an *Error", err, err)
	}
	if _, known := codes[refusal.Reason]; !known {
		t.Fatalf("reason %q has no code", refusal.Reason)
	}
}
