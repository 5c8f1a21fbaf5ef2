package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/client"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

// TestExplanationIsPrintable has a host that says something about the hops below it that a terminal would obey.
func TestExplanationIsPrintable(t *testing.T) {
	id, err := identity.ClientID("example.test", "someone")
	if err != nil {
		t.Fatal(err)
	}
	const evil = "spiffe://example.test/function/\x1b[2J\u202e\r\n\tx"
	var out bytes.Buffer
	explain(&out, &client.Client{Identity: identitytest.NewAuthority(t, "example.test", time.Now()).Identity(t, id)},
		&client.Answer{Call: &callsig.SignedCall{}, Return: &callsig.SignedReturn{},
			Hops: []countersign.Hop{{Call: evil, Caller: evil, Callee: evil, Algorithm: evil, Key: "\x1b]0;x", Verified: evil}}})
	if strings.ContainsAny(out.String(), "\x1b\u202e\r\t") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%q", out.String())
	}
}
