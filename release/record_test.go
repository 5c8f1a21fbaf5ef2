package release

import (
	"bytes"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// digest is 64 times one hexadecimal digit.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// shop is the record of testdata/shop.json.
func shop() *Record {
	return &Record{Environment: "dev", Number: 7, Parent: digest("7"), Created: time.Date(2026, 11, 29, 1, 16, 58, 0, time.UTC),
		Deployer: Deployer{Entity: "alice", EntityID: "6c1b5c5e", DisplayName: "oidc-alice"}, Action: ActionRollback, Restores: 5,
		TakesBack: 6, Keys: map[string]string{
			"hashivault://transit/quote:v3": "cXVvdGU=", "hashivault://teams/shop/transit/tax:v12": "dGF4",
		}, Functions: map[string]Function{
			"quote": {
				Artifact: "registry.example:5000/functions/quote", ArtifactDigest: digest("a"),
				SpecDigest: digest("b"), InterfaceDigest: digest("c"),
				Calls: map[string]string{"tax": digest("3")}, Callees: []string{"fx", "tax"},
				Repository: `https://git.example/"größe" & <co>.git`, Commit: strings.Repeat("0123456789", 4),
				Key: "hashivault://transit/quote:v3",
			},
			"tax": {
				Artifact: "registry.example:5000/functions/tax", ArtifactDigest: digest("1"),
				SpecDigest: digest("2"), InterfaceDigest: digest("3"),
				Repository: "//.repos/tax", Commit: strings.Repeat("f", 64), Key: "hashivault://teams/shop/transit/tax:v12",
			},
		}}
}

func vector(t testing.TB) []byte {
	t.Helper()
	src, err := os.ReadFile("testdata/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestVector holds the encoding to the bytes and the digest of docs/releases.md.
func TestVector(t *testing.T) {
	want := vector(t)
	got, err := shop().Encode()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("encoded: %v\n%s\nwant:\n%s", err, got, want)
	}
	const sum = "sha256:6a5bc31f42f6cf8fd8c3454da1b2c9e65798287553a2d6f5ba575d5c97050f20"
	if digest, err := shop().Digest(); err != nil || digest != sum {
		t.Errorf("digest %s, %v; want %s", digest, err, sum)
	}
	if id, err := shop().ID(); err != nil || id != sum[len("sha256:"):][:12] {
		t.Errorf("ID %s, %v", id, err)
	}
	r, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Encode(); err != nil || !bytes.Equal(again, want) {
		t.Errorf("encoded again: %v\n%s", err, again)
	}
	quote := shop().Functions["quote"]
	if !reflect.DeepEqual(r.Functions["quote"], quote) || r.Environment != "dev" {
		t.Errorf("decoded %+v, want %+v", r.Functions["quote"], quote)
	}
	if got, want := quote.Reference(), "registry.example:5000/functions/quote@"+digest("a"); got != want {
		t.Errorf("reference %s, want %s", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(vector(t))
	for name, tc := range map[string]struct{ old, new, want string }{
		"not JSON":          {"{", "[", "decode"},
		"a line feed":       {`:6}`, ":6}\n", "canonical"},
		"something follows": {`:6}`, ":6}{}", "canonical"},
		"white space":       {`"environment":`, `"environment": `, "canonical"},
		"another format":    {"release.v1", "release.v2", "v2"},
		"no format":         {`"format":"countersign.release.v1",`, ``, "format"},
		"unknown member":    {`"key":`, `"x":"","key":`, "unknown field"},
		"member twice":      {`"environment":"dev",`, `"environment":"dev","environment":"dev",`, "canonical"},
		"another case":      {`"environment"`, `"Environment"`, "canonical"},
		"order": {`"environment":"dev","format":"countersign.release.v1"`,
			`"format":"countersign.release.v1","environment":"dev"`, "canonical"},
		"another spelling":   {`"dev"`, `"\u0064ev"`, "canonical"},
		"null":               {`"callees":[],`, `"callees":null,`, "canonical"},
		"member is missing":  {`"callees":[],`, ``, "canonical"},
		"number":             {`"number":7`, `"number":0`, "number"},
		"a large number":     {`"number":7`, `"number":1000000001`, "number"},
		"a number's name":    {`"number":7`, `"number":"7"`, "decode"},
		"a fraction":         {`"number":7`, `"number":7.0`, "decode"},
		"parent":             {digest("7"), "", "parent"},
		"first with parent":  {`"number":7`, `"number":1`, "parent"},
		"time":               {`01:16:58Z`, `01:16:58+01:00`, "UTC"},
		"time's fraction":    {`01:16:58Z`, `01:16:58.5Z`, "seconds"},
		"no time":            {`2026-11-29T01:16:58Z`, ``, "RFC 3339"},
		"action":             {`"rollback"`, `"hide"`, "makes a release"},
		"takes back another": {`"takes_back":6`, `"takes_back":5`, "take back"},
		"a deploy restores":  {`"rollback"`, `"deploy"`, "can't restore"},
		"restores itself":    {`"restores":5`, `"restores":7`, "can't restore"},
		"deployer":           {`"oidc-alice"`, `"\u0007"`, "who deployed"},
		"key not archived":   {`"hashivault://transit/quote:v3":"cXVvdGU="`, `"hashivault://transit/quote:v2":"cXVvdGU="`, "missing"},
		"archived key":       {`cXVvdGU=`, `cXVvdGV=`, "base64"},
		"environment":        {`"dev"`, `"Dev"`, "environment"},
		"name":               {`"tax":{"art`, `"tax-":{"art`, "the name is not"},
		"another's artifact": {`functions/tax"`, `functions/quote"`, "at its end"},
		"tag":                {`functions/tax"`, `functions/tax:v1"`, "registry/repository"},
		"no registry":        {`registry.example:5000/functions/tax"`, `tax"`, "registry/repository"},
		"digest":             {digest("a"), "sha512:" + strings.Repeat("a", 128), "artifact digest"},
		"callees unsorted":   {`["fx","tax"]`, `["tax","fx"]`, "sorted"},
		"callee twice":       {`["fx","tax"]`, `["fx","fx","tax"]`, "twice"},
		"call not permitted": {`["fx","tax"]`, `["fx"]`, "not among"},
		"interface of call":  {`{"tax":"` + digest("3"), `{"tax":"x`, "interface digest"},
		"repository":         {`//.repos/tax`, `a\u0007`, "unprintable"},
		"separator":          {`//.repos/tax`, "\u2028", "unprintable"},
		"not UTF-8":          {`//.repos/tax`, "\xff", "canonical"},
		"commit":             {strings.Repeat("0123456789", 4), "main", "commit"},
		"key of another":     {`transit/tax:v12`, `transit/quote:v12`, "<mount>/tax:v"},
		"version":            {`:v12`, `:v012`, "<mount>/tax:v"},
		"no key":             {`hashivault://teams/shop/transit/tax:v12`, ``, "<mount>/tax:v"},
	} {
		t.Run(name, func(t *testing.T) {
			src := strings.Replace(good, tc.old, tc.new, 1)
			if src == good {
				t.Fatal("the case changes nothing")
			}
			if r, err := Decode([]byte(src)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("decoded %+v, %v; want an error with %q", r, err, tc.want)
			}
		})
	}
	if _, err := Decode(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a record that is too large: %v", err)
	}
}

func TestDiff(t *testing.T) {
	from, to := shop(), shop()
	if d := Diff(from, to); !d.Empty() {
		t.Errorf("a record differs from itself: %+v", d)
	}
	quote := to.Functions["quote"]
	quote.ArtifactDigest, quote.Calls = digest("9"), maps.Clone(quote.Calls)
	quote.Calls["tax"] = digest("4")
	to.Functions["quote"], to.Functions["fx"] = quote, Function{}
	delete(to.Functions, "tax")
	want := &Difference{
		Added: []string{"fx"}, Removed: []string{"tax"},
		Changed: []Change{{"quote", []string{"artifact_digest", "calls"}}},
	}
	if d := Diff(from, to); d.Empty() || !reflect.DeepEqual(d, want) {
		t.Errorf("Diff = %+v, want %+v", d, want)
	}
	everything := Diff(
		&Record{Functions: map[string]Function{"quote": {}}},
		&Record{Functions: map[string]Function{"quote": shop().Functions["quote"]}})
	if n := len(everything.Changed[0].Fields); n != reflect.TypeFor[Function]().NumField() {
		t.Errorf("%d fields differ, not all", n)
	}
}

// FuzzDecode looks for input that panics, and for input that is read although it is not what would be written.
func FuzzDecode(f *testing.F) {
	good := vector(f)
	f.Add(good)
	f.Add([]byte(`{"environment":"dev","format":"countersign.release.v1","functions":{}}`))
	f.Add(bytes.ReplaceAll(good, []byte("tax"), []byte("fx")))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := Decode(src)
		if err != nil {
			return
		}
		if again, err := r.Encode(); err != nil || !bytes.Equal(again, src) {
			t.Errorf("%v\n%s\nis read, and written as\n%s", err, src, again)
		}
		r.Waves()
	})
}
