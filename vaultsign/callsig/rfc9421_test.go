package callsig

import (
	"bufio"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
)

// The request of RFC 9421 appendix B.2 ("test-request"), in a form that Go's HTTP parser reads.
const rfcRequest = "POST /foo?param=Value&Pet=dog HTTP/1.1\r\n" +
	"Host: example.com\r\n" +
	"Date: Tue, 20 Apr 2021 02:07:55 GMT\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+T" +
	"aPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\r\n" +
	"Content-Length: 18\r\n"

const rfcBody = `{"hello": "world"}`

// RFC 9421 appendix B.1.4, "test-key-ed25519".
const rfcEd25519Key = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----`

const rfcEd25519PublicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----`

// RFC 9421 appendix B.1.5, "test-shared-secret".
const rfcSharedSecret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="

func rfcMessage(t *testing.T, input, signature string) (*http.Request, *received) {
	t.Helper()
	text := rfcRequest + "Signature-Input: " + input + "\r\nSignature: " + signature + "\r\n\r\n" + rfcBody
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	must(t, err)
	inputs, err := readDict(r.Header, fieldSignatureInput)
	must(t, err)
	values, err := readDict(r.Header, fieldSignature)
	must(t, err)
	value, ok := values.Get(inputs[0].Key)
	if !ok {
		t.Fatal("the labels differ")
	}
	found, err := readSignature(&inputs[0], value.Value.([]byte))
	must(t, err)
	return r, found
}

func rfcBase(t *testing.T, r *http.Request, found *received, want string) []byte {
	t.Helper()
	base, err := appendBase(nil, found.components, requestSource{r})
	must(t, err)
	base = append(base, found.params...)
	if string(base) != want {
		t.Errorf("signature base is\n%s\nwant\n%s", base, want)
	}
	return base
}

// RFC 9421 appendix B.2.6: signing a request using ed25519.
func TestRFC9421Ed25519(t *testing.T) {
	r, found := rfcMessage(t,
		`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")`+
			`;created=1618884473;keyid="test-key-ed25519"`,
		`sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:`)
	base := rfcBase(t, r, found, `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")`+
		`;created=1618884473;keyid="test-key-ed25519"`)
	block, _ := pem.Decode([]byte(rfcEd25519PublicKey))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	must(t, err)
	if !ed25519.Verify(public.(ed25519.PublicKey), base, found.signature.Value) {
		t.Error("the signature of the RFC does not verify")
	}
	block, _ = pem.Decode([]byte(rfcEd25519Key))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	if got := ed25519.Sign(private.(ed25519.PrivateKey), base); string(got) != string(found.signature.Value) {
		t.Errorf("signed %x, the RFC has %x", got, found.signature.Value)
	}
}

// RFC 9421 appendix B.2.5: signing a request using hmac-sha256.
func TestRFC9421HMAC(t *testing.T) {
	r, found := rfcMessage(t,
		`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
		`sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:`)
	base := rfcBase(t, r, found, `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`)
	secret, err := base64.StdEncoding.DecodeString(rfcSharedSecret)
	must(t, err)
	var macs macPool
	macs.init(secret)
	if !hmac.Equal(macs.append(nil, base), found.signature.Value) {
		t.Error("the signature of the RFC does not verify")
	}
}

// RFC 9421 section 2.2: the derived components of one request, and section 2.1: fields.
func TestRFC9421Components(t *testing.T) {
	text := "POST /path?param=value HTTP/1.1\r\nHost: www.EXAMPLE.com:80\r\n" +
		"X-OWS-Header:   Leading and trailing whitespace.   \r\n" +
		"X-Obs-Fold-Header: Obsolete\r\n    line folding.\r\n" +
		"Cache-Control: max-age=60\r\nCache-Control:    must-revalidate\r\n" +
		"Example-Header: value, with, lots\r\nExample-Header: of, commas\r\n" +
		"Content-Digest:  sha-256=:AAAA:;a=?1,  x=(1  2.0)\r\nX-Empty-Header:\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	must(t, err)
	tests := map[string]string{
		`"@method"`: "POST", `"@path"`: "/path", `"@query"`: "?param=value", `"@authority"`: "www.example.com",
		`"@scheme"`: "http", `"@request-target"`: "/path?param=value",
		`"@target-uri"`:  "http://www.example.com/path?param=value",
		`"x-ows-header"`: "Leading and trailing whitespace.", `"x-obs-fold-header"`: "Obsolete line folding.",
		`"cache-control"`: "max-age=60, must-revalidate", `"x-empty-header"`: "",
		`"example-header"`:            "value, with, lots, of, commas",
		`"example-header";bs`:         ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:",
		`"content-digest"`:            "sha-256=:AAAA:;a=?1,  x=(1  2.0)",
		`"content-digest";sf`:         "sha-256=:AAAA:;a, x=(1 2.0)",
		`"content-digest";key="x"`:    "(1 2.0)",
		`"content-digest";sf;key="x"`: "(1 2.0)",
	}
	for id, want := range tests {
		d, err := readDict(http.Header{"Signature-Input": {"s=(" + id + ");keyid=\"k\""}}, fieldSignatureInput)
		must(t, err)
		found, err := readSignature(&d[0], []byte{0})
		must(t, err)
		got, err := requestSource{r}.appendValue(nil, &found.components[0])
		must(t, err)
		if string(got) != want || found.components[0].id != id {
			t.Errorf("%s is %q, want %q", found.components[0].id, got, want)
		}
	}
}

func TestContentDigest(t *testing.T) {
	// RFC 9530 appendix D has this digest of the same body.
	const want = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
	if got := ContentDigest([]byte(rfcBody)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if sum := sha256.Sum256(nil); ContentDigest(nil) != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
		t.Error("the digest of an empty body")
	}
}
