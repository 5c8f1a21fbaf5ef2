package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
)

// IsWeakKey tells Ed25519 public keys with which anybody can sign: the points of small order (RFC 8032, section 5.1.7,
// leaves it to the verifier to refuse them), for which one signature verifies many messages, and every encoding that is
// not the one canonical for its point, so that a key has one spelling.
func IsWeakKey(key ed25519.PublicKey) bool {
	if len(key) != ed25519.PublicKeySize {
		return true
	}
	y := bytes.Clone(key) // without the sign of x: little endian
	y[31] &= 0x7f
	for _, weak := range smallOrder {
		if bytes.Equal(y, weak) {
			return true
		}
	}
	return !isBelowPrime(y)
}

// smallOrder has the y coordinates of the eight points whose order divides 8.
var smallOrder = func() (points [][]byte) {
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // order 1
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	} {
		point, err := hex.DecodeString(text)
		if err != nil {
			panic(err) // a constant of this file
		}
		points = append(points, point)
	}
	return points
}()

// isBelowPrime tells whether a little-endian number is below 2^255 - 19.
func isBelowPrime(y []byte) bool {
	if y[31] != 0x7f || y[0] < 0xed {
		return true
	}
	for _, b := range y[1:31] {
		if b != 0xff {
			return true
		}
	}
	return false
}
