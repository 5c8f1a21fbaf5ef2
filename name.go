package countersign

import "strings"

// MaxNameLength bounds a name, in bytes: a DNS label (RFC 1035 section 2.3.4).
const MaxNameLength = 63

// NameForm says in words what ValidName accepts, for messages.
const NameForm = "at most 63 lower-case letters, digits and hyphens, the first a letter, the last not a hyphen"

// ValidName tells whether name can name a function, an I/O tag or an environment: a DNS label that starts with a letter
// (RFC 1035 section 2.3.1, in lower case). A function's name is also a Nomad job, a Consul service, a Vault key, and
// part of a SPIFFE ID and of an OCI repository. Package sdk, which imports nothing of ours, has a copy of this rule;
// sdk/testdata/names.json holds the cases for both.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxNameLength || !isLower(name[0]) || name[len(name)-1] == '-' {
		return false
	}
	return all(name, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' })
}

// maxTrustDomain bounds a trust domain, in bytes (SPIFFE-ID section 2.4).
const maxTrustDomain = 255

// ValidTrustDomain tells whether s is the name of a SPIFFE trust domain (SPIFFE-ID section 2.1).
func ValidTrustDomain(s string) bool {
	return s != "" && len(s) <= maxTrustDomain && all(s, func(c byte) bool {
		return isLower(c) || isDigit(c) || c == '.' || c == '-' || c == '_'
	})
}

// ValidDigest tells whether s is a SHA-256 digest as OCI writes it: sha256:<64 hexadecimal digits in lower case>.
func ValidDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && all(hex, isHex)
}

// ValidCommit tells whether s is a full git commit: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits in lower case.
func ValidCommit(s string) bool { return (len(s) == 40 || len(s) == 64) && all(s, isHex) }

// ValidRef tells whether s names what a pinned commit is in the history of: a branch or a tag, with or without refs/heads/
// or refs/tags/, or HEAD, the remote's default branch. Other references are not a team's word: whoever opens a pull
// request writes its refs/pull/<number>/head.
func ValidRef(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '-' || s[0] == '/' || strings.Contains(s, "..") || strings.Contains(s, "//") {
		return false
	}
	if strings.HasPrefix(s, "refs/") && !strings.HasPrefix(s, "refs/heads/") && !strings.HasPrefix(s, "refs/tags/") {
		return false
	}
	return all(s, func(c byte) bool {
		return isLower(c) || 'A' <= c && c <= 'Z' || isDigit(c) || strings.IndexByte("-_./+#", c) >= 0
	})
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}
