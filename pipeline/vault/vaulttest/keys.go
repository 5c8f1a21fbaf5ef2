// Package vaulttest has keys for tests that need no Vault. It owns nothing that a product may link.
package vaulttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Keys are the key versions of each function, made here instead of in Vault. All functions have the same.
type Keys struct {
	t       *testing.T
	mu      sync.Mutex
	private []*ecdsa.PrivateKey // version 1 first
	floor   int                 // the least version that counts
}

// Rotate makes a new version.
func (k *Keys) Rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rotate()
}

func (k *Keys) rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	k.private = append(k.private, private)
}

func (k *Keys) newest() *ecdsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.private[len(k.private)-1]
}

// PEM returns the public half of a version.
func (k *Keys) PEM(version int) string {
	der, err := x509.MarshalPKIXPublicKey(&k.private[version-1].PublicKey)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Retire has only versions from floor count.
func (k *Keys) Retire(floor int) { k.floor = floor }

// Exist tells whether any version was made.
func (k *Keys) Exist() bool { return k.private != nil }

// EnsureKey makes the first version, unless there is one.
func (k *Keys) EnsureKey(context.Context, string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.private != nil {
		return false, nil
	}
	k.rotate()
	return true, nil
}

// PublicKeys returns the key ring of function. The error is transit.ErrNoKey if there is none.
func (k *Keys) PublicKeys(_ context.Context, function string) (keyring.KeyRing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.private == nil {
		return keyring.KeyRing{}, transit.ErrNoKey
	}
	ring := keyring.KeyRing{
		Mount: "transit", Function: function, Versions: map[int]string{}, MinVersion: max(1, k.floor), FetchedAt: time.Now(),
	}
	for i := range k.private {
		if i+1 >= k.floor {
			ring.Versions[i+1] = k.PEM(i + 1)
		}
	}
	return ring, nil
}

// Signer signs with the newest version.
func (k *Keys) Signer(function string) attest.Signer { return signer{k, function} }

type signer struct {
	*Keys
	function string
}

func (s signer) Sign(ctx context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	digest := sha256.Sum256(data)
	signature, err := ecdsa.SignASN1(rand.Reader, s.newest(), digest[:])
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	ring, err := s.PublicKeys(ctx, s.function)
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	key, err := ring.Public(ring.Latest())
	return signature, key, err
}

// New returns keys without a version.
func New(t *testing.T) *Keys { return &Keys{t: t} }
