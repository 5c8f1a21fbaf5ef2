package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

const domain = "example.test"

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestParseID(t *testing.T) {
	long := strings.Repeat("a", 64)
	accepted := map[string]struct {
		kind       Kind
		name       string
		isFunction bool
	}{
		"spiffe://example.test/function/quote":               {KindFunction, "quote", true},
		"spiffe://example.test/function/q2-x":                {KindFunction, "q2-x", true},
		"spiffe://a_b-c.1/client/Ann.B_1-2":                  {KindClient, "Ann.B_1-2", false},
		"spiffe://example.test/client/...":                   {KindClient, "...", false},
		"spiffe://example.test/function/" + long[:63]:        {KindFunction, long[:63], true},
		"spiffe://" + strings.Repeat("d", 255) + "/client/a": {KindClient, "a", false},
	}
	for s, want := range accepted {
		id, err := ParseID(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		name, isFunction := id.Function()
		if id.String() != s || id.Kind() != want.kind || id.Name() != want.name || name != want.name ||
			isFunction != want.isFunction || s != "spiffe://"+id.TrustDomain()+"/"+string(id.Kind())+"/"+id.Name() {
			t.Errorf("%s reads as %q %q %q", s, id.TrustDomain(), id.Kind(), id.Name())
		}
	}
	for _, s := range []string{
		"", "spiffe:", "spiffe://", "spiffe://example.test", "spiffe://example.test/", "spiffe:///function/a",
		"SPIFFE://example.test/function/a", "https://example.test/function/a", "spiffe://Example.test/function/a",
		"spiffe://example.test:80/function/a", "spiffe://u@example.test/function/a", "spiffe://example.test//function/a",
		"spiffe://example.test/function", "spiffe://example.test/function/", "spiffe://example.test/function/a/b",
		"spiffe://example.test/function/a/", "spiffe://example.test/function/A", "spiffe://example.test/function/1a",
		"spiffe://example.test/function/-a", "spiffe://example.test/function/a-", "spiffe://example.test/function/a_b",
		"spiffe://example.test/function/" + long, "spiffe://example.test/client/" + long, "spiffe://example.test/client/.",
		"spiffe://example.test/client/..", "spiffe://example.test/client/a%20b", "spiffe://example.test/client/a?b",
		"spiffe://example.test/client/a#b", "spiffe://example.test/client/a b", "spiffe://example.test/client/é",
		"spiffe://example.test/client/a\n", "spiffe://example.test/service/a",
		"spiffe://" + strings.Repeat("d", 256) + "/client/a",
		" spiffe://example.test/client/a", "spiffe://exa%6dple.test/client/a",
	} {
		if id, err := ParseID(s); err == nil || !id.IsZero() {
			t.Errorf("%q reads as %v", s, id)
		} else if len(err.Error()) > 400 {
			t.Errorf("the error is %d characters long", len(err.Error()))
		}
	}
	var zero ID
	if zero.String() != "" || zero.TrustDomain() != "" || zero.Kind() != "" || zero.Name() != "" {
		t.Error("the zero ID says something")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("spiffe://example.test/function/quote")
	f.Add("spiffe://example.test/client/Ann")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q reads as %q", s, id)
		}
	})
}

// ca is a certificate authority of a test.
type ca struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newCA(t *testing.T, now time.Time) *ca {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := caTemplate(now)
	return &ca{key: key, cert: sign(t, template, template, key.Public(), key)}
}

func caTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

func sign(t *testing.T, template, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

func bundlePEM(certs ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return out.Bytes()
}

func uri(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	must(t, err)
	return u
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	if want == "" {
		must(t, err)
		return
	}
	var refusal *CertificateError
	if !errors.As(err, &refusal) || refusal.Reason != want || !refusal.Unverified() {
		t.Fatalf("got %v, want reason %s", err, want)
	}
}

// names gives a certificate its URI and one more name, of a kind that crypto/x509 does not make (RFC 5280 section 4.2.1.6).
func names(kind byte, text string) func(*x509.Certificate) {
	const own = "spiffe://example.test/function/tax"
	list := append([]byte{0x86, byte(len(own))}, own...)
	list = append(append(list, kind, byte(len(text))), text...)
	value := append([]byte{0x30, byte(len(list))}, list...)
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
	}
}

func TestVerify(t *testing.T) {
	now := time.Now()
	authority, stranger := newCA(t, now), newCA(t, now)
	bundle, err := ParseBundle(domain, bundlePEM(authority.cert))
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, own, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	tests := map[string]struct {
		change func(*x509.Certificate)
		by     *ca
		public any
		want   Reason
	}{
		"good":        {nil, authority, nil, ""},
		"another CA":  {nil, stranger, nil, ReasonUntrusted},
		"self-signed": {nil, &ca{own, nil}, own.Public(), ReasonUntrusted},
		"ECDSA key":   {nil, authority, ec.Public(), ReasonProfile},
		"a CA": {func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
		}, authority, nil, ReasonProfile},
		"expired": {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, authority, nil, ReasonExpired},
		"not yet valid": {func(c *x509.Certificate) {
			c.NotBefore = now.Add(2 * time.Second)
		}, authority, nil, ReasonNotYetValid},
		"no URI": {func(c *x509.Certificate) { c.URIs = nil }, authority, nil, ReasonProfile},
		"two URIs": {func(c *x509.Certificate) {
			c.URIs = append(c.URIs, uri(t, "spiffe://example.test/function/fx"))
		}, authority, nil, ReasonProfile},
		"not a SPIFFE ID": {func(c *x509.Certificate) {
			c.URIs = []*url.URL{uri(t, "https://example.test/function/tax")}
		}, authority, nil, ReasonProfile},
		"another trust domain": {func(c *x509.Certificate) {
			c.URIs = []*url.URL{uri(t, "spiffe://other.test/function/tax")}
		}, authority, nil, ReasonTrustDomain},
		"DNS name": {func(c *x509.Certificate) { c.DNSNames = []string{"a.test"} }, authority, nil, ReasonProfile},
		"IP address": {func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{{10, 0, 0, 1}}
		}, authority, nil, ReasonProfile},
		"email": {func(c *x509.Certificate) {
			c.EmailAddresses = []string{"a@a.test"}
		}, authority, nil, ReasonProfile},
		// URI, and a user principal name as otherName; then a registered ID; then a directory name.
		"other name":     {names(0xa0, "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x07\x0c\x05admin"), authority, nil, ReasonProfile},
		"registered ID":  {names(0x88, "\x2a\x03"), authority, nil, ReasonProfile},
		"directory name": {names(0xa4, "\x30\x00"), authority, nil, ReasonProfile},
		"no key usage":   {func(c *x509.Certificate) { c.KeyUsage = 0 }, authority, nil, ReasonProfile},
		"may sign certificates": {func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageCertSign
		}, authority, nil, ReasonProfile},
		"only key agreement": {func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyAgreement
		}, authority, nil, ReasonProfile},
		"critical extension": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, authority, nil, ReasonProfile},
		"too large": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, MaxCertificate)}}
		}, authority, nil, ReasonMalformed},
		"server's extended key usage": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, authority, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			template := &x509.Certificate{
				SerialNumber: big.NewInt(255), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
				KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri(t, "spiffe://example.test/function/tax")},
			}
			if test.change != nil {
				test.change(template)
			}
			public, parent := test.public, test.by.cert
			if public == nil {
				key, err := NewCallKey()
				must(t, err)
				public = key.Public()
			}
			if parent == nil {
				parent = template
			}
			der := sign(t, template, parent, public, test.by.key).Raw
			certificate, err := bundle.Verify(der, now)
			wantReason(t, err, test.want)
			if err == nil && (certificate.ID.String() != "spiffe://example.test/function/tax" || certificate.Serial() != "ff" ||
				certificate.Thumbprint != Thumbprint(der) || len(certificate.Thumbprint) != 43) {
				t.Errorf("read %+v", certificate)
			}
		})
	}
	for _, junk := range [][]byte{nil, {}, {0x30}, []byte("x"), make([]byte, MaxCertificate+1)} {
		_, err := bundle.Verify(junk, now)
		wantReason(t, err, ReasonMalformed)
	}
	good := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri(t, "spiffe://example.test/function/tax")},
	}, authority.cert, own.Public(), authority.key)
	for i := range good.Raw {
		der := bytes.Clone(good.Raw)
		der[i] ^= 1
		if _, err := bundle.Verify(der, now); err == nil {
			t.Fatalf("verified with byte %d changed", i)
		}
	}
}

func TestCertificateOfAnEndedCAIsRefused(t *testing.T) {
	now := time.Now()
	authority := newCA(t, now)
	bundle, err := ParseBundle(domain, bundlePEM(authority.cert))
	must(t, err)
	key, err := NewCallKey()
	must(t, err)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: now, NotAfter: now.Add(72 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri(t, "spiffe://example.test/function/tax")},
	}, authority.cert, key.Public(), authority.key)
	_, err = bundle.Verify(leaf.Raw, now.Add(25*time.Hour))
	wantReason(t, err, ReasonUntrusted)
}

func TestBundle(t *testing.T) {
	now := time.Now()
	one, two := newCA(t, now), newCA(t, now)
	leaf := sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: now}, one.cert, one.key.Public(), one.key)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := caTemplate(now)
	other := sign(t, template, template, ec.Public(), ec)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	noSign := sign(t, template, template, one.key.Public(), one.key)
	good, err := ParseBundle(domain, bundlePEM(one.cert, two.cert, one.cert))
	must(t, err)
	swapped, err := ParseBundle(domain, []byte("\n"+string(bundlePEM(two.cert))+"\n\n"+string(bundlePEM(one.cert))))
	must(t, err)
	alone, err := ParseBundle(domain, bundlePEM(one.cert))
	must(t, err)
	if !good.Equal(swapped) || good.Equal(alone) || good.Equal(nil) || (*Bundle)(nil).Equal(good) ||
		!bytes.Equal(good.PEM(), swapped.PEM()) || good.TrustDomain() != domain {
		t.Error("bundles do not compare")
	}
	for name, data := range map[string]string{
		"empty": "", "text": "x", "key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"broken certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"text after":         string(bundlePEM(one.cert)) + "x", "leaf": string(bundlePEM(leaf)),
		"cut short": string(bundlePEM(one.cert)[:200]), "ECDSA": string(bundlePEM(other)),
		"may not sign": string(bundlePEM(noSign)), "huge": strings.Repeat("\n", MaxBundle+1),
	} {
		if _, err := ParseBundle(domain, []byte(data)); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
	if _, err := ParseBundle("Example.test", bundlePEM(one.cert)); err == nil {
		t.Error("a bundle of a trust domain that cannot be")
	}
}

func TestCallKey(t *testing.T) {
	key, err := NewCallKey()
	must(t, err)
	id, err := FunctionID(domain, "tax")
	must(t, err)
	text, err := key.CSR(id)
	must(t, err)
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatal("not one PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	must(t, err)
	must(t, csr.CheckSignature())
	if len(csr.URIs) != 1 || csr.URIs[0].String() != id.String() || csr.Subject.String() != "" || len(csr.DNSNames) > 0 {
		t.Errorf("the request names %v %v", csr.URIs, csr.Subject)
	}
	if !key.Public().Equal(csr.PublicKey) || !ed25519.Verify(key.Public(), []byte("m"), key.Sign([]byte("m"))) {
		t.Error("the keys differ")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, key); s != "call key (private)" {
			t.Errorf("%s prints %s", format, s)
		}
	}
	if _, err := key.CSR(ID{}); err == nil {
		t.Error("a request for nobody")
	}
	if _, err := CallKeyFrom(make([]byte, 32)); err == nil {
		t.Error("a key of 32 bytes")
	}
}

func TestNewIdentity(t *testing.T) {
	now := time.Now()
	authority := newCA(t, now)
	key, err := NewCallKey()
	must(t, err)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: now, NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri(t, "spiffe://example.test/client/ann")},
	}, authority.cert, key.Public(), authority.key)
	i, err := NewIdentity(key, leaf.Raw)
	must(t, err)
	if i.ID().String() != "spiffe://example.test/client/ann" {
		t.Errorf("identity of %s", i.ID())
	}
	other, err := NewCallKey()
	must(t, err)
	_, err = NewIdentity(other, leaf.Raw)
	wantReason(t, err, ReasonWrongKey)
	_, err = NewIdentity(key, []byte("x"))
	wantReason(t, err, ReasonMalformed)
}
