package keyring

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPEM bounds one public key, in bytes; one of P-256 has 178.
const maxPEM = 1024

// PublicKey is the public half of one key version. The zero value verifies nothing.
type PublicKey struct {
	ID  KeyID
	key *ecdsa.PublicKey
}

// Verify tells whether a signature, ECDSA P-256 over SHA-256 in ASN.1 DER (RFC 3279, 2.2.3), is one of this key over
// data.
func (k PublicKey) Verify(data, signature []byte) bool {
	if k.key == nil {
		return false
	}
	digest := sha256.Sum256(data)
	return ecdsa.VerifyASN1(k.key, digest[:], signature)
}

// Fingerprint identifies the key itself, whatever it is called: SHA256:<base64 without padding> of its SSH wire form
// (RFC 5656, 3.1), as ssh-keygen(1) prints it and as DSSE libraries derive key IDs. "" without a key.
func (k PublicKey) Fingerprint() string {
	if k.key == nil {
		return ""
	}
	point, err := k.key.Bytes()
	if err != nil { // parsePublic has checked that it is on the curve
		return ""
	}
	var wire []byte
	for _, field := range [][]byte{[]byte("ecdsa-sha2-nistp256"), []byte("nistp256"), point} {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(len(field))), field...)
	}
	sum := sha256.Sum256(wire)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// parsePublic reads a PEM block with a P-256 public key and nothing around it.
func parsePublic(text string) (*ecdsa.PublicKey, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("a public key of %d bytes, more than %d", len(text), maxPEM)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one PEM block of type PUBLIC KEY")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing a public key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("a public key of type %T, not ECDSA on the curve P-256", parsed)
	}
	return key, nil
}

// samePublic compares keys and not their spelling in PEM.
func samePublic(a, b string) bool {
	ka, errA := parsePublic(a)
	kb, errB := parsePublic(b)
	return errA == nil && errB == nil && ka.Equal(kb)
}
