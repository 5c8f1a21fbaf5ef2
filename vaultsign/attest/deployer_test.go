package attest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestDeployerAndRepetition states who deployed, and repeats that under the next version of the key: what was stated stays.
func TestDeployerAndRepetition(t *testing.T) {
	v1, v2 := newKey(t, "quote", 1), newKey(t, "quote", 2)
	ring := ringOf(t, 1, v1, v2)
	claims := quoteClaims()
	claims.Deployer = Deployer{Entity: "alice", EntityID: "e1", DisplayName: "oidc-alice"}
	first := sign(t, v1, claims)
	a, err := Verify(first, ring, quoteWant())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Claims, claims) {
		t.Errorf("attested is %+v, want %+v", a.Claims, claims)
	}
	bob := Deployer{DisplayName: "root"}
	again := sign(t, v2, a.Again(bob))
	for _, bundles := range [][][]byte{{first, again}, {again, first}} {
		b, err := VerifyAny(bundles, ring, quoteWant())
		if err != nil {
			t.Fatal(err)
		}
		want := claims
		want.SignedAgain = SignedAgain{Key: "hashivault://transit/quote:v1", By: bob}
		if b.Key.Version != 2 || !reflect.DeepEqual(b.Claims, want) {
			t.Errorf("of both, %s is taken, which states %+v; want version 2 and %+v", b.Key, b.Claims, want)
		}
	}
	if b, err := VerifyAny([][]byte{first, again}, ringOf(t, 2, v1, v2), quoteWant()); err != nil || b.Key.Version != 2 {
		t.Errorf("with version 1 retired: %+v, %v", b, err)
	}
}

// TestDeployersThatAreNone has a key that signs anything: what is no deployer, or no repetition, is malformed, whoever
// states it; and is not signed by us.
func TestDeployersThatAreNone(t *testing.T) {
	key := newKey(t, "quote", 1)
	claims := quoteClaims()
	claims.Deployer = Deployer{Entity: "alice", EntityID: "e1", DisplayName: "oidc-alice"}
	claims.SignedAgain = SignedAgain{Key: "hashivault://transit/quote:v1", By: Deployer{DisplayName: "root"}}
	payload := payloadOf(t, sign(t, key, claims))
	deployer, by := `"deployer":{"entity":"alice","entityId":"e1","displayName":"oidc-alice"}`, `"by":{"displayName":"root"}`
	for name, change := range map[string][2]string{
		"a text":                 {deployer, `"deployer":"alice"`},
		"null":                   {deployer, `"deployer":null`},
		"nothing":                {deployer, `"deployer":{}`},
		"an empty name":          {deployer, `"deployer":{"displayName":""}`},
		"a number":               {deployer, `"deployer":{"displayName":1}`},
		"an escape sequence":     {"oidc-alice", `\u001b[2J`},
		"a long name":            {"oidc-alice", strings.Repeat("a", maxText+1)},
		"no ID":                  {`"entityId":"e1",`, ``},
		"two":                    {deployer, deployer + "," + deployer},
		"again for nobody":       {by, `"by":{}`},
		"again, and not by whom": {"," + by, ``},
		"again of no key":        {`"key":"hashivault://transit/quote:v1"`, `"key":"v1"`},
		"again of another":       {"quote:v1", "tax:v1"},
		"again of nothing":       {`"key":"hashivault://transit/quote:v1",`, ``},
	} {
		bundle := signPayload(t, key, replaced(t, payload, change[0], change[1]))
		_, err := Verify(bundle, ringOf(t, 1, key), quoteWant())
		var refusal *VerificationError
		if !errors.As(err, &refusal) || refusal.Reason != Malformed {
			t.Errorf("%s: %v, want %s", name, err, Malformed)
		}
	}
	for name, edit := range map[string]func(*Claims){
		"an escape sequence": func(c *Claims) { c.Deployer.DisplayName = "\x1b[2J" },
		"no ID":              func(c *Claims) { c.Deployer.EntityID = "" },
		"of another":         func(c *Claims) { c.SignedAgain.Key = "hashivault://transit/tax:v1" },
		"for nobody":         func(c *Claims) { c.SignedAgain.By = Deployer{} },
	} {
		c := claims
		edit(&c)
		if _, err := Sign(t.Context(), key, c); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
}
