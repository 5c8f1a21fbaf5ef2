package transit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/strictjson"
	"countersign/vaultsign/keyring"
)

// keyType is the type of every artifact key: the one that sigstore's tools can verify after Vault has signed a digest.
const keyType = "ecdsa-p256"

// Client uses one mount of the transit engine. It is safe for concurrent use.
type Client struct {
	vault *api.Client
	mount string
}

// New returns a client. The mount is a path as `vault secrets list` shows it; slashes at its ends do not matter.
func New(vault *api.Client, mount string) (*Client, error) {
	mount = strings.Trim(mount, "/")
	if err := keyring.CheckMount(mount); err != nil {
		return nil, fmt.Errorf("using Vault's transit engine: %w", err)
	}
	return &Client{vault: vault, mount: mount}, nil
}

// key is what this package needs of Vault's answer about a key.
type key struct {
	Type                 string `json:"type"`
	Exportable           bool   `json:"exportable"`
	AllowPlaintextBackup bool   `json:"allow_plaintext_backup"`
	MinDecryptionVersion int    `json:"min_decryption_version"`
	AutoRotatePeriod     int64  `json:"auto_rotate_period"` // seconds
	Keys                 map[string]struct {
		PublicKey    string    `json:"public_key"`
		CreationTime time.Time `json:"creation_time"`
	} `json:"keys"`
}

// EnsureKey makes sure that a function has a key that it may sign with, and tells whether there was none before. It
// is idempotent. Of several calls at the same time, in whatever processes, all succeed with the same key: creating a
// key that is there already changes nothing in Vault. A key of another type, or one whose private half could leave
// Vault, is an error and stays as it is.
func (c *Client) EnsureKey(ctx context.Context, function string) (created bool, err error) {
	op := fmt.Sprintf("making sure that function %.80q has a key", function)
	k, err := c.read(ctx, op, function)
	if errors.Is(err, ErrNoKey) {
		created = true
		path := c.mount + "/keys/" + function
		settings := map[string]any{"type": keyType, "exportable": false, "allow_plaintext_backup": false}
		if _, err := c.vault.Logical().WriteWithContext(ctx, path, settings); err != nil {
			return false, classify(op, path, err)
		}
		// Another deploy may have been first, with other settings: what counts is what is there now.
		k, err = c.read(ctx, op, function)
	}
	if err != nil {
		return false, err
	}
	return created, k.check(op)
}

// PublicKeys returns the key ring of a function as Vault has it now: the public keys that Vault still exports, and the
// floor. Archiving older ones is the business of keyring.Store. The error is ErrNoKey if there is no key.
func (c *Client) PublicKeys(ctx context.Context, function string) (keyring.KeyRing, error) {
	k, err := c.Key(ctx, function)
	return k.Ring, err
}

// Key is what Vault tells of a function's key.
type Key struct {
	Ring       keyring.KeyRing
	Created    map[int]time.Time // when each version of the ring was made
	AutoRotate time.Duration     // how old the latest version becomes before Vault makes another; 0: Vault makes none by itself
}

// Key returns the key ring of a function, as PublicKeys does, and what else Vault tells of the key.
func (c *Client) Key(ctx context.Context, function string) (Key, error) {
	op := fmt.Sprintf("reading the public keys of function %.80q", function)
	k, err := c.read(ctx, op, function)
	if err != nil {
		return Key{}, err
	}
	if err := k.check(op); err != nil {
		return Key{}, err
	}
	key := Key{Created: map[int]time.Time{}, AutoRotate: time.Duration(max(0, k.AutoRotatePeriod)) * time.Second}
	key.Ring = keyring.KeyRing{
		Mount: c.mount, Function: function, Versions: map[int]string{},
		MinVersion: max(k.MinDecryptionVersion, 1), FetchedAt: time.Now().UTC(),
	}
	for text, version := range k.Keys {
		n, err := strconv.Atoi(text)
		if err != nil {
			return Key{}, fmt.Errorf("%s: Vault answered with a key version %.20q", op, text)
		}
		key.Ring.Versions[n], key.Created[n] = version.PublicKey, version.CreationTime
	}
	if err := key.Ring.Check(); err != nil {
		return Key{}, fmt.Errorf("%s: Vault's answer is not a key ring: %w", op, err)
	}
	return key, nil
}

// check refuses a key that is not fit for artifacts.
func (k *key) check(op string) error {
	if k.Type != keyType {
		return fmt.Errorf("%s: the key is of type %.40q, not %s: rename the function, or delete the key if nothing uses it",
			op, k.Type, keyType)
	}
	if k.Exportable || k.AllowPlaintextBackup {
		return fmt.Errorf("%s: the key's private half may leave Vault (exportable or allow_plaintext_backup is set), which "+
			"cannot be undone: delete the key and deploy again", op)
	}
	return nil
}

func (c *Client) read(ctx context.Context, op, function string) (*key, error) {
	if err := keyring.CheckFunction(function); err != nil { // it becomes part of a path
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	path := c.mount + "/keys/" + function
	secret, err := c.vault.Logical().ReadWithContext(ctx, path)
	if err != nil {
		return nil, classify(op, path, err)
	}
	if secret == nil || secret.Data == nil {
		return nil, fmt.Errorf("%s: %w (looked at %s)", op, ErrNoKey, path)
	}
	var k key
	if err := decode(secret.Data, &k); err != nil {
		return nil, fmt.Errorf("%s: reading Vault's answer: %w", op, err)
	}
	return &k, nil
}

// decode turns the generic data of Vault's client into a struct.
func decode(data map[string]any, into any) error {
	src, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return strictjson.DecodeOpen(src, into)
}

// Signer signs with the latest version of a function's key. It implements attest.Signer and is safe for concurrent use.
type Signer struct {
	client   *Client
	function string
}

// Signer returns a signer for a function. Nothing is asked of Vault before the first signature.
func (c *Client) Signer(function string) *Signer { return &Signer{client: c, function: function} }

// Sign has Vault sign the SHA-256 of data and returns the signature, ECDSA P-256 in ASN.1 DER, with the public half of
// the key version that Vault says it used. Data itself does not leave the process.
func (s *Signer) Sign(ctx context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	version, signature, err := s.sign(ctx, data)
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	// Read after signing, so that a version that was just made is there.
	ring, err := s.client.PublicKeys(ctx, s.function)
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	key, err := ring.Public(version)
	if err != nil {
		return nil, keyring.PublicKey{}, fmt.Errorf("signing for function %q: %w", s.function, err)
	}
	return signature, key, nil
}

func (s *Signer) sign(ctx context.Context, data []byte) (version int, signature []byte, err error) {
	op := fmt.Sprintf("signing for function %.80q", s.function)
	if err := keyring.CheckFunction(s.function); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", op, err)
	}
	path := s.client.mount + "/sign/" + s.function
	digest := sha256.Sum256(data)
	secret, err := s.client.vault.Logical().WriteWithContext(ctx, path, map[string]any{
		"input":                base64.StdEncoding.EncodeToString(digest[:]),
		"prehashed":            true,
		"hash_algorithm":       "sha2-256",
		"marshaling_algorithm": "asn1",
	})
	if err != nil {
		return 0, nil, classify(op, path, err)
	}
	var answer struct {
		Signature string `json:"signature"`
	}
	if secret == nil {
		return 0, nil, fmt.Errorf("%s: Vault answered with nothing", op)
	}
	if err := decode(secret.Data, &answer); err != nil {
		return 0, nil, fmt.Errorf("%s: reading Vault's answer: %w", op, err)
	}
	if version, signature, err = parseSignature(answer.Signature); err != nil {
		return 0, nil, fmt.Errorf("%s: reading Vault's answer: %w", op, err)
	}
	return version, signature, nil
}

// parseSignature reads vault:v<version>:<base64>.
func parseSignature(text string) (version int, signature []byte, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] != "vault" || !strings.HasPrefix(parts[1], "v") {
		return 0, nil, errors.New("the signature is not of the form vault:v<version>:<base64>")
	}
	version, err = strconv.Atoi(parts[1][1:])
	if err != nil || version < 1 {
		return 0, nil, errors.New("the signature names no key version")
	}
	signature, err = base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(signature) == 0 {
		return 0, nil, errors.New("the signature is not base64")
	}
	return version, signature, nil
}
