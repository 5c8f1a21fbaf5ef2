package attest

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"countersign/vaultsign/keyring"
)

// TestVectors verifies what an earlier build signed: the format does not drift. Another implementation can use the
// same files.
func TestVectors(t *testing.T) {
	read := func(name string) string {
		src, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(src)
	}
	bundle, statement := read("quote.bundle.json"), strings.TrimSpace(read("quote.statement.json"))
	ring := keyring.KeyRing{Mount: "transit", Function: "quote", MinVersion: 1,
		Versions: map[int]string{3: read("quote.pub.pem")}}
	a, err := Verify([]byte(bundle), ring, quoteWant())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Claims, quoteClaims()) || a.Key != ring.KeyID(3) {
		t.Errorf("the vector states %+v, signed with %s", a.Claims, a.Key)
	}
	if payloadOf(t, []byte(bundle)) != statement {
		t.Error("the statement of the bundle is not the one in quote.statement.json")
	}
	if again, err := quoteClaims().encode(); err != nil || string(again) != statement {
		t.Errorf("the same claims are stated in other bytes: %s, %v", again, err)
	}
	for name, c := range vectorRefusals(t, bundle, ring) {
		_, err := Verify([]byte(c.bundle), c.ring, c.want)
		var refusal *VerificationError
		if !errors.As(err, &refusal) || refusal.Reason != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
}

type vectorRefusal struct {
	bundle string
	ring   keyring.KeyRing
	want   Want
	reason Reason
}

// vectorRefusals are those that the document lists.
func vectorRefusals(t *testing.T, bundle string, ring keyring.KeyRing) map[string]vectorRefusal {
	t.Helper()
	retired, older, tax := ring, ring, ring
	retired.MinVersion = 4
	older.Versions = map[int]string{1: newKey(t, "quote", 1).pem(), 2: newKey(t, "quote", 2).pem()}
	tax.Function = "tax"
	want := func(edit func(*Want)) Want {
		w := quoteWant()
		edit(&w)
		return w
	}
	same := quoteWant()
	changed := replaced(t, bundle, `"payload":"eyJf`, `"payload":"eyJg`)
	nine := digestOf("9")
	return map[string]vectorRefusal{
		"floor":           {bundle, retired, same, VersionRetired},
		"older ring":      {bundle, older, same, UnknownVersion},
		"as tax":          {bundle, tax, want(func(w *Want) { w.Function = "tax" }), WrongKey},
		"another version": {replaced(t, bundle, "quote:v3", "quote:v2"), older, same, WrongKey},
		"payload":         {changed, ring, same, BadSignature},
		"manifest":        {bundle, ring, want(func(w *Want) { w.ManifestDigest = nine }), WrongDigest},
		"file":            {bundle, ring, want(func(w *Want) { w.FileDigests = []string{nine} }), WrongDigest},
		"spec":            {bundle, ring, want(func(w *Want) { w.SpecDigest = nine }), WrongSpec},
		"interface":       {bundle, ring, want(func(w *Want) { w.InterfaceDigest = nine }), WrongInterface},
	}
}
