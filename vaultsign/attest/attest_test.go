package attest

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"countersign/vaultsign/keyring"
)

func TestSignedAttestationVerifies(t *testing.T) {
	key := newKey(t, "quote", 3)
	a, err := Verify(sign(t, key, quoteClaims()), ringOf(t, 2, key), quoteWant())
	if err != nil {
		t.Fatal(err)
	}
	want := quoteClaims()
	if a.Key.String() != "hashivault://transit/quote:v3" || a.Commit != want.Commit || a.Builder.ID != want.Builder.ID ||
		a.Builder.Version["bazel"] != "7.4.0" || a.Repository != want.Repository || a.Target != want.Target {
		t.Errorf("the attestation says %+v", a)
	}
}

// TestKeyIDIsTheOneThatLibrariesDerive is why the envelope's keyid is a fingerprint: DSSE libraries pass over others.
func TestKeyIDIsTheOneThatLibrariesDerive(t *testing.T) {
	key := newKey(t, "quote", 1)
	derived, err := dsse.SHA256KeyID(key.private.Public())
	if err != nil || derived != key.public().Fingerprint() {
		t.Errorf("%q, %v; ours is %q", derived, err, key.public().Fingerprint())
	}
}

func TestSeveralFiles(t *testing.T) {
	key, claims, want := newKey(t, "quote", 1), quoteClaims(), quoteWant()
	claims.Files = []File{{"quote-linux-arm64", digestOf("6")}, {"quote-linux-amd64", digestOf("5")}}
	bundle := sign(t, key, claims)
	for _, digests := range [][]string{{digestOf("5")}, {digestOf("6")}, {digestOf("5"), digestOf("6")}} {
		want.FileDigests = digests
		if _, err := Verify(bundle, ringOf(t, 1, key), want); err != nil {
			t.Errorf("files %v: %v", digests, err)
		}
	}
}

func TestStatementIsDeterministic(t *testing.T) {
	one, two := quoteClaims(), quoteClaims()
	one.Files = []File{{"b", digestOf("5")}, {"a", digestOf("6")}}
	two.Files = []File{{"a", digestOf("6")}, {"b", digestOf("5")}}
	first, err1 := one.encode()
	second, err2 := two.encode()
	if err := errors.Join(err1, err2); err != nil || string(first) != string(second) {
		t.Errorf("%v\n%s\n%s", err, first, second)
	}
}

// TestForgeries changes one thing at a time in what verifies otherwise.
func TestForgeries(t *testing.T) {
	v1, v2, other := newKey(t, "quote", 1), newKey(t, "quote", 2), newKey(t, "tax", 2)
	ring := ringOf(t, 2, v1, v2)
	good := string(sign(t, v2, quoteClaims()))
	stated := payloadOf(t, []byte(good))
	insider := func(old, new string) []byte { return signPayload(t, v2, replaced(t, stated, old, new)) }
	asTax := func(c Claims) Claims { c.Function = "tax"; return c }
	impostor := newKey(t, "quote", 2)
	fingerprint := v2.public().Fingerprint()
	byImpostor := string(sign(t, impostor, quoteClaims()))
	disguised := []byte(replaced(t, byImpostor, impostor.public().Fingerprint(), fingerprint))
	raised := []byte(replaced(t, string(sign(t, v1, quoteClaims())), "quote:v1", "quote:v2"))
	future := newKey(t, "quote", 9)
	oneByte := base64.StdEncoding.EncodeToString([]byte(replaced(t, stated, "c0ffee12", "c0ffee13")))
	original := base64.StdEncoding.EncodeToString([]byte(stated))

	swap := func(old, new string) []byte { return []byte(replaced(t, good, old, new)) }
	rename := func(old, new string) []byte { return []byte(strings.ReplaceAll(good, old, new)) }
	nines := strings.Repeat("9", 64)
	upTo := func(mark, rest string) []byte { return []byte(good[:strings.Index(good, mark)] + rest) }
	extraSubject := `"subject":[{"name":"quote","digest":{"sha256":"` + nines + `"}},`
	noSubjects := stated[:strings.Index(stated, `"subject":[`)] + `"subject":[],` +
		stated[strings.Index(stated, `"predicateType"`):]
	const hint = "hashivault://transit/quote:v2"

	for name, c := range map[string]struct {
		bundle []byte
		reason Reason
	}{
		"empty":                 {nil, Malformed},
		"not JSON":              {[]byte("{"), Malformed},
		"an array":              {[]byte("[]"), Malformed},
		"an empty object":       {[]byte("{}"), WrongType},
		"too large":             {append([]byte(good), make([]byte, MaxBundle)...), Malformed},
		"truncated":             {[]byte(good[:len(good)/2]), Malformed},
		"two documents":         {[]byte(good + good), Malformed},
		"unknown bundle field":  {[]byte(`{"x":1,` + good[1:]), Malformed},
		"repeated bundle field": {[]byte(`{"mediaType":"` + BundleType + `",` + good[1:]), Malformed},
		"older bundle":          {swap("bundle.v0.3+json", "bundle.v0.2+json"), WrongType},
		"other payload type":    {swap(PayloadType, "text/plain"), WrongType},
		"one byte of payload":   {swap(original, oneByte), BadSignature},
		"no signature":          {upTo(`"signatures":[`, `"signatures":[]}}`), Malformed},
		"null signature":        {upTo(`"signatures":[`, `"signatures":[null]}}`), Malformed},
		"empty signature":       {upTo(`"signatures":[`, `"signatures":[{}]}}`), WrongKey},
		"no signature bytes": {
			upTo(`"signatures":[`, `"signatures":[{"keyid":"`+fingerprint+`"}]}}`), BadSignature},
		"two signatures": {swap(`"signatures":[`, `"signatures":[{"sig":"AA==","keyid":"x"},`), Malformed},

		"no hint":                  {swap(`"publicKey":{"hint":"`+hint+`"}`, `"x509CertificateChain":{}`), Malformed},
		"empty hint":               {swap(hint, ""), WrongKey},
		"hint of nothing":          {swap(hint, "key"), WrongKey},
		"version lowered":          {swap("quote:v2", "quote:v1"), VersionRetired},
		"version raised":           {rename("quote:v2", "quote:v3"), UnknownVersion},
		"version misspelt":         {swap("quote:v2", "quote:v02"), WrongKey},
		"key of another mount":     {swap("transit/quote", "other/quote"), WrongKey},
		"no key id":                {swap(fingerprint, ""), WrongKey},
		"another key id":           {swap(fingerprint, v1.public().Fingerprint()), WrongKey},
		"key of another function":  {sign(t, other, asTax(quoteClaims())), WrongKey},
		"same name, other key":     {sign(t, impostor, quoteClaims()), WrongKey},
		"same name, copied key id": {disguised, BadSignature},
		"retired version":          {sign(t, v1, quoteClaims()), VersionRetired},
		"retired version, raised":  {raised, WrongKey},
		"version of the future":    {sign(t, future, quoteClaims()), UnknownVersion},

		"statement type":          {insider(StatementType, "https://in-toto.io/Statement/v0.1"), WrongType},
		"predicate type":          {insider(PredicateType, "https://slsa.dev/provenance/v0.2"), WrongType},
		"build type":              {insider(BuildType, "https://example.org/other"), WrongType},
		"payload not an object":   {signPayload(t, v2, `[]`), Malformed},
		"payload not UTF-8":       {signPayload(t, v2, "{\"a\":\"\xff\"}"), Malformed},
		"payload nested deep":     {signPayload(t, v2, strings.Repeat(`{"a":`, 99)+"1"+strings.Repeat("}", 99)), Malformed},
		"something after":         {signPayload(t, v2, stated+"{}"), Malformed},
		"name twice":              {insider(`"function":"quote"`, `"function":"tax","function":"quote"`), Malformed},
		"name twice, unknown":     {insider(`"function":"quote"`, `"x":{"y":1,"y":2},"function":"quote"`), Malformed},
		"name in other case":      {insider(`"function":"quote"`, `"Function":"quote"`), Malformed},
		"no subjects":             {signPayload(t, v2, noSubjects), Malformed},
		"subject twice":           {insider(`"subject":[`, extraSubject), Malformed},
		"subject without sha256":  {insider(`"sha256":"`+strings.Repeat("2", 64), `"sha512":"`+nines), Malformed},
		"upper-case digest":       {insider(strings.Repeat("3", 64), strings.Repeat("A", 64)), Malformed},
		"commit is a branch":      {insider(`"commit":"`+quoteClaims().Commit, `"commit":"main`), Malformed},
		"dependency disagrees":    {insider(`"gitCommit":"c0ffee12`, `"gitCommit":"deadbeef`), Malformed},
		"function is a number":    {insider(`"function":"quote"`, `"function":7`), Malformed},
		"function has no subject": {insider(`"function":"quote"`, `"function":"quote2"`), Malformed},
		"another function":        {signPayload(t, v2, strings.ReplaceAll(stated, `"quote"`, `"tax"`)), WrongFunction},
		"another manifest":        {insider(strings.Repeat("1", 64), nines), WrongDigest},
		"another file":            {insider(strings.Repeat("2", 64), nines), WrongDigest},
		"another spec":            {insider(strings.Repeat("3", 64), nines), WrongSpec},
		"another interface":       {insider(strings.Repeat("4", 64), nines), WrongInterface},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Verify(c.bundle, ring, quoteWant())
			var refusal *VerificationError
			if !errors.As(err, &refusal) || a != nil {
				t.Fatalf("accepted: %+v, %v", a, err)
			}
			if refusal.Reason != c.reason || refusal.Function != "quote" || !refusal.Unverified() {
				t.Errorf("refused with %v, not for the reason %q", err, c.reason)
			}
		})
	}
	if _, err := Verify([]byte(good), ring, quoteWant()); err != nil {
		t.Errorf("the original does not verify either: %v", err)
	}
}

func TestUnknownPredicateFieldsAreTolerated(t *testing.T) {
	key := newKey(t, "quote", 1)
	stated := payloadOf(t, sign(t, key, quoteClaims()))
	for _, old := range []string{`"buildDefinition":{`, `"externalParameters":{`, `"runDetails":{`, `"predicate":{`} {
		bundle := signPayload(t, key, replaced(t, stated, old, old+`"later_field":[1,{"a":null}],`))
		if _, err := Verify(bundle, ringOf(t, 1, key), quoteWant()); err != nil {
			t.Errorf("a new field after %s: %v", old, err)
		}
	}
}

// TestRef: attestations from before the ref was stated have none; one that is there names a branch, a tag or HEAD.
func TestRef(t *testing.T) {
	key, claims := newKey(t, "quote", 1), quoteClaims()
	for ref, accepted := range map[string]bool{"": true, "HEAD": true, "refs/tags/v1": true, "main": true,
		"refs/pull/1/head": false, "--upload-pack=x": false, "a b": false} {
		claims.Ref = ref
		bundle, err := Sign(context.Background(), key, claims)
		if (err == nil) != accepted {
			t.Errorf("signing ref %q: %v", ref, err)
		}
		if err == nil {
			if a, err := Verify(bundle, ringOf(t, 1, key), quoteWant()); err != nil || a.Ref != ref {
				t.Errorf("ref %q: %+v, %v", ref, a, err)
			}
		}
	}
	stated := payloadOf(t, sign(t, key, quoteClaims()))
	for _, member := range []string{`"ref":""`, `"ref":7`, `"ref":null`, `"ref":"refs/pull/1/head"`, `"ref":"a","ref":"b"`} {
		bundle := signPayload(t, key, replaced(t, stated, `"externalParameters":{`, `"externalParameters":{`+member+`,`))
		var refusal *VerificationError
		if _, err := Verify(bundle, ringOf(t, 1, key), quoteWant()); !errors.As(err, &refusal) || refusal.Reason != Malformed {
			t.Errorf("%s: %v", member, err)
		}
	}
}

func TestExpectationWithHoles(t *testing.T) {
	key := newKey(t, "quote", 1)
	bundle := sign(t, key, quoteClaims())
	for name, edit := range map[string]func(*Want){
		"function":  func(w *Want) { w.Function = "" },
		"manifest":  func(w *Want) { w.ManifestDigest = "" },
		"files":     func(w *Want) { w.FileDigests = nil },
		"file":      func(w *Want) { w.FileDigests = []string{""} },
		"spec":      func(w *Want) { w.SpecDigest = "" },
		"interface": func(w *Want) { w.InterfaceDigest = "" },
	} {
		want := quoteWant()
		edit(&want)
		_, err := Verify(bundle, ringOf(t, 1, key), want)
		var refusal *VerificationError
		if !errors.As(err, &refusal) || refusal.Reason != Incomplete {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := Verify(bundle, keyring.KeyRing{}, quoteWant()); err == nil {
		t.Error("an empty key ring verified something")
	}
	noFloor := ringOf(t, 0, key)
	if _, err := Verify(bundle, noFloor, quoteWant()); err == nil {
		t.Error("a key ring without a floor verified something")
	}
}

func TestVerifyAny(t *testing.T) {
	v1, v2 := newKey(t, "quote", 1), newKey(t, "quote", 2)
	ring := ringOf(t, 2, v1, v2)
	old, current, junk := sign(t, v1, quoteClaims()), sign(t, v2, quoteClaims()), []byte("junk")
	for name, c := range map[string]struct {
		bundles [][]byte
		reason  Reason
	}{
		"none":                   {nil, Missing},
		"junk":                   {[][]byte{junk}, Malformed},
		"retired and junk":       {[][]byte{junk, old, junk}, VersionRetired},
		"one of them is current": {[][]byte{junk, old, current}, ""},
	} {
		a, err := VerifyAny(c.bundles, ring, quoteWant())
		var refusal *VerificationError
		switch {
		case c.reason == "" && (err != nil || a.Key.Version != 2):
			t.Errorf("%s: %v", name, err)
		case c.reason != "" && (!errors.As(err, &refusal) || refusal.Reason != c.reason || refusal.Function != "quote"):
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
}

// brokenSigner signs something else.
type brokenSigner struct{ localKey }

func (s brokenSigner) Sign(ctx context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	return s.localKey.Sign(ctx, append(data, 0))
}

func TestSignRefusesBadClaims(t *testing.T) {
	key := newKey(t, "quote", 1)
	for name, edit := range map[string]func(*Claims){
		"no function":        func(c *Claims) { c.Function = "" },
		"short commit":       func(c *Claims) { c.Commit = "c0ffee" },
		"no files":           func(c *Claims) { c.Files = nil },
		"file twice":         func(c *Claims) { c.Files = append(c.Files, c.Files[0]) },
		"file is manifest":   func(c *Claims) { c.Files = []File{{"quote", digestOf("5")}} },
		"no spec digest":     func(c *Claims) { c.SpecDigest = "" },
		"builder not a URI":  func(c *Claims) { c.Builder.ID = "me" },
		"password":           func(c *Claims) { c.Repository = "https://me:hunter2@git.example/quote" },
		"token in query":     func(c *Claims) { c.Repository = "https://git.example/quote?private_token=hunter2" },
		"line break":         func(c *Claims) { c.Target = "a\nb" },
		"key of another one": func(c *Claims) { c.Function = "tax" },
	} {
		claims := quoteClaims()
		edit(&claims)
		_, err := Sign(context.Background(), key, claims)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Sign(context.Background(), brokenSigner{key}, quoteClaims()); err == nil {
		t.Error("a signature that does not verify was published")
	}
}

func TestSourceURI(t *testing.T) {
	for repository, want := range map[string]string{
		"https://git.example/shop/quote.git": "git+https://git.example/shop/quote.git",
		"git+https://git.example/quote":      "git+https://git.example/quote",
		"ssh://git@git.example/quote":        "git+ssh://git@git.example/quote",
		"git@git.example:shop/quote.git":     "git+ssh://git@git.example/shop/quote.git",
		"/srv/git/quote":                     "git+file:///srv/git/quote",
		"file:///srv/git/quote":              "git+file:///srv/git/quote",
		"quote":                              "",
		"":                                   "",
	} {
		if got, err := sourceURI(repository); got != want || (want == "") != (err != nil) {
			t.Errorf("%q: %q, %v; want %q", repository, got, err, want)
		}
	}
}

// TestRingOfAnotherFunction has the key of one function state the claims of another, and a verifier that took the ring of
// the first.
func TestRingOfAnotherFunction(t *testing.T) {
	tax := newKey(t, "tax", 1)
	bundle := signPayload(t, tax, payloadOf(t, sign(t, newKey(t, "quote", 1), quoteClaims())))
	_, err := Verify(bundle, ringOf(t, 1, tax), quoteWant())
	var refused *VerificationError
	if !errors.As(err, &refused) || refused.Reason != WrongKey {
		t.Errorf("%v; want reason %s", err, WrongKey)
	}
}

// TestLargeBundle has a bundle that is larger than is looked at, and right but for that.
func TestLargeBundle(t *testing.T) {
	key := newKey(t, "quote", 1)
	bundle := sign(t, key, quoteClaims())
	for size, fits := range map[int]bool{MaxBundle: true, MaxBundle + 1: false} {
		large := append([]byte(strings.Repeat(" ", size-len(bundle))), bundle...)
		if _, err := Verify(large, ringOf(t, 1, key), quoteWant()); (err == nil) != fits {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestManyBundles has the one that verifies behind as many others as are looked at.
func TestManyBundles(t *testing.T) {
	key := newKey(t, "quote", 1)
	bundles := append(make([][]byte, MaxBundles), sign(t, key, quoteClaims()))
	if _, err := VerifyAny(bundles, ringOf(t, 1, key), quoteWant()); err == nil {
		t.Error("more bundles are looked at")
	}
	if _, err := VerifyAny(bundles[1:], ringOf(t, 1, key), quoteWant()); err != nil {
		t.Errorf("the last one that is looked at: %v", err)
	}
}

// TestDepthOfStatements has statements that are nested as deep as is read, and deeper.
func TestDepthOfStatements(t *testing.T) {
	for depth, fits := range map[int]bool{maxDepth: true, maxDepth + 1: false} {
		text := `{"a":` + strings.Repeat("[", depth-1) + "1" + strings.Repeat("]", depth-1) + `}`
		if _, err := parseObject([]byte(text)); (err == nil) != fits {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}
