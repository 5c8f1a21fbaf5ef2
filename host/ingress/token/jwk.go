package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"countersign/strictjson"
	"countersign/vaultsign/identity"
)

// usable picks the keys that may verify tokens. Others, and those of unknown types, belong in a key set, too.
func usable(raw []json.RawMessage) (keys []jose.JSONWebKey) {
	for _, text := range raw {
		var k jose.JSONWebKey
		if !isForTokens(text) || k.UnmarshalJSON(text) != nil || !k.Valid() || !k.IsPublic() || !isFit(k) {
			continue
		}
		if keys = append(keys, k); len(keys) == maxKeys {
			break
		}
	}
	return keys
}

// isForTokens tells whether a key's own members let it verify tokens (RFC 7517, sections 4.2 to 4.4): each of use,
// key_ops and alg that is there must. Which algorithm it is, is compared with each token.
func isForTokens(text []byte) bool {
	var purpose struct {
		Use        *string  `json:"use"`
		Operations []string `json:"key_ops"`
		Algorithm  *string  `json:"alg"`
	}
	if strictjson.DecodeOpen(text, &purpose) != nil {
		return false
	}
	return (purpose.Use == nil || *purpose.Use == "sig") &&
		(purpose.Operations == nil || slices.Contains(purpose.Operations, "verify")) &&
		(purpose.Algorithm == nil || slices.Contains(algorithms, jose.SignatureAlgorithm(*purpose.Algorithm)))
}

// isFit tells keys of the algorithms that tokens may be signed with, and with which nobody but their owner can sign.
func isFit(k jose.JSONWebKey) bool {
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		size := public.N.BitLen()
		return size >= minRSABits && size <= maxRSABits && public.N.Bit(0) == 1 && public.E >= 3 && public.E%2 == 1
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return !identity.IsWeakKey(public)
	}
	return false
}
