package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// weakKeys are all encodings of the points whose order divides 8 that crypto/ed25519 reads, and canonical ones' doubles.
func weakKeys(t *testing.T) (keys []ed25519.PublicKey) {
	t.Helper()
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p
	} {
		key, err := hex.DecodeString(text)
		must(t, err)
		other := bytes.Clone(key)
		other[31] |= 0x80 // the other sign of x
		keys = append(keys, key, other)
	}
	return keys
}

func TestWeakKeys(t *testing.T) {
	now := time.Now()
	authority := newCA(t, now)
	bundle, err := ParseBundle(domain, bundlePEM(authority.cert))
	must(t, err)
	// R is the neutral point and S is 0: it verifies whenever the key's order divides the hash.
	forged := append([]byte{1}, make([]byte, ed25519.SignatureSize-1)...)
	for _, key := range weakKeys(t) {
		verified := 0
		for i := range 256 {
			if ed25519.Verify(key, []byte{byte(i)}, forged) {
				verified++
			}
		}
		t.Logf("%x: one signature verifies %d of 256 messages", key, verified)
		if !IsWeakKey(key) {
			t.Errorf("%x is not refused", key)
		}
		leaf := sign(t, &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri(t, "spiffe://example.test/function/tax")},
		}, authority.cert, key, authority.key)
		_, err := bundle.Verify(leaf.Raw, now)
		wantReason(t, err, ReasonProfile)
		template := caTemplate(now)
		if _, err := ParseBundle(domain, bundlePEM(sign(t, template, authority.cert, key, authority.key))); err == nil {
			t.Errorf("%x is taken for an authority's key", key)
		}
	}
	for _, key := range []ed25519.PublicKey{nil, make([]byte, 31), bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 33)} {
		if !IsWeakKey(key) {
			t.Errorf("%x is not refused", key)
		}
	}
	for range 100 {
		key, _, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		if IsWeakKey(key) {
			t.Errorf("%x is refused", key)
		}
	}
	below := append([]byte{0xeb}, bytes.Repeat([]byte{0xff}, 31)...) // p-2, and x negative
	if IsWeakKey(below) {
		t.Error("a canonical encoding is refused")
	}
}
