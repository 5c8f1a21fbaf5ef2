//go:build integration

package nodes

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// refusals returns how many calls of quote a node's host has refused at its door, by reason.
func refusals(t *testing.T, address string) map[string]float64 {
	t.Helper()
	response, err := http.Get("http://" + address + "/v1/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, m := range families["countersign_refusals_total"].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["side"] == "ingress" && labels["function"] == "quote" {
			counts[labels["reason"]] = m.GetCounter().GetValue()
		}
	}
	return counts
}

// TestForgeriesAreRefusedAndCounted changes, replays and delays calls of quote. Every one is refused, and counted by its
// reason.
func TestForgeriesAreRefusedAndCounted(t *testing.T) {
	deployed(t)
	first, second := hostOf(t, 1), hostOf(t, 2)
	self := early
	callee, err := identity.FunctionID(env.TrustDomain, "quote")
	if err != nil {
		t.Fatal(err)
	}
	sign := func(at time.Time) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+first+callsig.Path(callee), nil)
		if err != nil {
			t.Fatal(err)
		}
		call := callsig.Call{Caller: self.ID(), Callee: callee, Authority: callsig.AuthorityOf(r), Deadline: time.Now().Add(5 * time.Second),
			ID: rand.Text(), Body: []byte(basket)}
		if _, err := callsig.SignRequest(r, callsig.NewSigner(self), call, at); err != nil {
			t.Fatal(err)
		}
		return r
	}
	send := func(r *http.Request) int {
		if r.GetBody != nil {
			r.Body, _ = r.GetBody()
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	for _, test := range []struct {
		name   string
		at     string // the node that refuses
		reason callsig.Reason
		make   func() *http.Request
	}{
		{"body changed", first, callsig.ReasonBadDigest, func() *http.Request {
			r := sign(time.Now())
			other := strings.Replace(basket, "2", "9", 1)
			r.Body, r.GetBody, r.ContentLength = io.NopCloser(strings.NewReader(other)), nil, int64(len(other))
			return r
		}},
		{"deadline changed", first, callsig.ReasonBadSignature, func() *http.Request {
			r := sign(time.Now())
			r.Header.Set(callsig.HeaderDeadline, "9999999999999")
			return r
		}},
		{"as somebody else", first, callsig.ReasonWrongCaller, func() *http.Request {
			r := sign(time.Now())
			r.Header.Set(callsig.HeaderCaller, `"spiffe://`+env.TrustDomain+`/client/someone"`)
			return r
		}},
		{"unsigned", first, callsig.ReasonUnsigned, func() *http.Request {
			r := sign(time.Now())
			r.Header.Del("Signature")
			return r
		}},
		{"delayed by more than the window", first, callsig.ReasonExpired, func() *http.Request {
			return sign(time.Now().Add(-callsig.DefaultLifetime - callsig.ClockSkew - 5*time.Second))
		}},
		{"from the future", first, callsig.ReasonNotYetValid, func() *http.Request {
			return sign(time.Now().Add(2 * callsig.ClockSkew))
		}},
		{"replayed", first, callsig.ReasonReplayed, func() *http.Request {
			r := sign(time.Now())
			if status := send(r); status != http.StatusOK {
				t.Errorf("the first time: status %d", status)
			}
			return r
		}},
		{"replayed at another node", second, callsig.ReasonWrongCallee, func() *http.Request {
			r := sign(time.Now())
			r.URL.Host, r.Host = second, first
			return r
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.make()
			before := refusals(t, test.at)
			if status := send(r); status/100 != 4 {
				t.Errorf("status %d; want a refusal", status)
			}
			after := refusals(t, test.at)
			for reason, n := range after {
				want := before[reason]
				if reason == string(test.reason) {
					want++
				}
				if n != want {
					t.Errorf("%v refusals of reason %s; want %v", n, reason, want)
				}
			}
			if after[string(test.reason)] == 0 {
				t.Errorf("no refusal of reason %s among %v", test.reason, after)
			}
		})
	}
}

// TestSwappedAndTruncatedReturnsAreRefused takes the returns of two calls as a node signed them, and hands the verifier
// each for the other, and one of them cut short.
func TestSwappedAndTruncatedReturnsAreRefused(t *testing.T) {
	deployed(t)
	self, trust := clientIdentity(t, "victim")
	callee, err := identity.FunctionID(env.TrustDomain, "quote")
	if err != nil {
		t.Fatal(err)
	}
	verifier := callsig.Verifier{Trust: func() *identity.Bundle { return trust }}
	type exchange struct {
		request  *http.Request
		sent     *callsig.SignedCall
		response *http.Response
		body     []byte
	}
	var two []exchange
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+hostOf(t, 1)+callsig.Path(callee), nil)
		if err != nil {
			t.Fatal(err)
		}
		call := callsig.Call{Caller: self.ID(), Callee: callee, Deadline: time.Now().Add(5 * time.Second), ID: rand.Text(), Body: []byte(basket)}
		sent, err := callsig.SignRequest(r, callsig.NewSigner(self), call, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.VerifyResponse(response, body, r, sent); err != nil {
			t.Fatalf("a return as it came: %v", err)
		}
		two = append(two, exchange{r, sent, response, body})
	}
	for i, own := range two {
		other := two[1-i]
		wantReason(t, callsig.ReasonWrongCall, func() error {
			_, err := verifier.VerifyResponse(other.response, other.body, own.request, own.sent)
			return err
		})
		// The same with the ID of the call put right: the signature still covers the other call.
		other.response.Header.Set(callsig.HeaderID, own.response.Header.Get(callsig.HeaderID))
		wantReason(t, callsig.ReasonBadSignature, func() error {
			_, err := verifier.VerifyResponse(other.response, other.body, own.request, own.sent)
			return err
		})
		other.response.Header.Set(callsig.HeaderID, `"`+other.sent.Call.ID+`"`)
	}
	wantReason(t, callsig.ReasonBadDigest, func() error {
		_, err := verifier.VerifyResponse(two[0].response, two[0].body[:len(two[0].body)-1], two[0].request, two[0].sent)
		return err
	})
}

func wantReason(t *testing.T, reason callsig.Reason, verify func() error) {
	t.Helper()
	var refused *callsig.Error
	if err := verify(); !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("%v; want a refusal for %s", err, reason)
	}
}
