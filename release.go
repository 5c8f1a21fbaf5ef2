package countersign

import "strings"

// ReleaseKey is the name of the key in Vault that signs release records. No function is called so.
const ReleaseKey = "countersign-release"

// shortDigits is how many hexadecimal digits of a digest or commit people are shown.
const shortDigits = 12

// ReleaseID names a release of one function for people and filters: the first 12 hexadecimal digits of the digest
// (sha256:<hex>) of its artifact. It is "" for "".
func ReleaseID(artifactDigest string) string {
	return Short(strings.TrimPrefix(artifactDigest, "sha256:"))
}

// Short shortens a digest (sha256:<hex>) or a commit for people. The algorithm of a digest stays.
func Short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return digest[:min(shortDigits, len(digest))]
	}
	return algorithm + ":" + hex[:min(shortDigits, len(hex))]
}
