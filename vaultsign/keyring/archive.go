package keyring

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"
)

// Archive returns the public key of a version for an archive: base64 of its SubjectPublicKeyInfo (RFC 5280) in DER.
func (r KeyRing) Archive(version int) (string, error) {
	key, err := r.Public(version)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key.key)
	if err != nil {
		return "", fmt.Errorf("public key of %s: %w", key.ID, err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

// FromArchive returns a ring of one version, which counts whatever Vault says of it by now. It is for what was signed
// before that version was retired, and only where something else vouches for the archive and for what was signed.
func FromArchive(id KeyID, archived string) (KeyRing, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(archived)
	if err != nil {
		return KeyRing{}, fmt.Errorf("archived public key of %s: %w", id, err)
	}
	ring := KeyRing{
		Mount: id.Mount, Function: id.Function, MinVersion: 1, FetchedAt: time.Now().UTC(),
		Versions: map[int]string{id.Version: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	}
	if err := ring.Check(); err != nil {
		return KeyRing{}, fmt.Errorf("archived public key of %s: %w", id, err)
	}
	return ring, nil
}
