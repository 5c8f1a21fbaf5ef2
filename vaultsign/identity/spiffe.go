package identity

import (
	"fmt"
	"strings"

	"countersign"
)

// Kind is what a SPIFFE ID stands for; it is the first segment of the ID's path.
type Kind string

// The kinds of identities.
const (
	KindFunction Kind = "function" // a deployed function: spiffe://<trust domain>/function/<name>
	KindClient   Kind = "client"   // a caller outside: spiffe://<trust domain>/client/<name>
)

const (
	scheme         = "spiffe://"
	maxTrustDomain = 255 // bytes; SPIFFE-ID section 2.1
	maxClientName  = 63  // bytes
)

// ID is a SPIFFE ID of the two forms that Countersign uses. IDs are comparable; the zero ID is nobody's.
type ID struct {
	uri  string // the whole ID, so that a call does not build it anew
	td   uint16 // end of the trust domain in uri
	kind uint16 // end of the kind in uri
}

// FunctionID returns the ID of a function in a trust domain.
func FunctionID(trustDomain, name string) (ID, error) {
	return newID(trustDomain, KindFunction, name)
}

// ClientID returns the ID of an outside caller in a trust domain.
func ClientID(trustDomain, name string) (ID, error) {
	return newID(trustDomain, KindClient, name)
}

// ParseID parses a SPIFFE ID. Exactly one spelling of an ID is accepted: lower-case scheme and trust domain, no port,
// no user, no query, no fragment, no percent-encoding, no empty segment.
func ParseID(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, scheme)
	if !ok {
		return ID{}, fmt.Errorf("parse SPIFFE ID %s: it does not start with %q", quote(s), scheme)
	}
	trustDomain, path, ok := strings.Cut(rest, "/")
	if !ok {
		return ID{}, fmt.Errorf("parse SPIFFE ID %s: it has no path; want /function/<name> or /client/<name>", quote(s))
	}
	kind, name, _ := strings.Cut(path, "/")
	id, err := newID(trustDomain, Kind(kind), name)
	if err != nil {
		return ID{}, fmt.Errorf("parse SPIFFE ID %s: %w", quote(s), err)
	}
	return id, nil
}

func newID(trustDomain string, kind Kind, name string) (ID, error) {
	if err := CheckTrustDomain(trustDomain); err != nil {
		return ID{}, err
	}
	switch kind {
	case KindFunction:
		if !countersign.ValidName(name) {
			return ID{}, fmt.Errorf("%s is not a function name: it has %s", quote(name), countersign.NameForm)
		}
	case KindClient:
		if !validClientName(name) {
			return ID{}, fmt.Errorf("client name %s is not 1 to %d letters, digits, '.', '-' or '_'",
				quote(name), maxClientName)
		}
	default:
		return ID{}, fmt.Errorf("path starts with %s; want function or client", quote(string(kind)))
	}
	td := len(scheme) + len(trustDomain)
	return ID{
		uri: scheme + trustDomain + "/" + string(kind) + "/" + name, td: uint16(td), kind: uint16(td + 1 + len(kind)),
	}, nil
}

// CheckTrustDomain returns an error if s is not a trust domain name by SPIFFE-ID section 2.1.
func CheckTrustDomain(s string) error {
	if !countersign.ValidTrustDomain(s) {
		return fmt.Errorf("trust domain %s is not 1 to %d lower-case letters, digits, '.', '-' or '_'",
			quote(s), maxTrustDomain)
	}
	return nil
}

// String returns the ID as a URI, or "" for the zero ID.
func (id ID) String() string { return id.uri }

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id.uri == "" }

// TrustDomain returns the ID's trust domain.
func (id ID) TrustDomain() string {
	if id.IsZero() {
		return ""
	}
	return id.uri[len(scheme):id.td]
}

// Kind returns what the ID stands for.
func (id ID) Kind() Kind {
	if id.IsZero() {
		return ""
	}
	return Kind(id.uri[id.td+1 : id.kind])
}

// Name returns the function's or the client's name.
func (id ID) Name() string {
	if id.IsZero() {
		return ""
	}
	return id.uri[id.kind+1:]
}

// Function returns the function's name, and false if the ID is not a function's.
func (id ID) Function() (string, bool) { return id.Name(), id.Kind() == KindFunction }

// validClientName accepts a SPIFFE path segment (SPIFFE-ID section 2.2): dot segments are not allowed.
func validClientName(s string) bool {
	if s == "" || len(s) > maxClientName || s == "." || s == ".." {
		return false
	}
	return only(s, func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_'
	})
}

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// quote keeps error messages short and printable whatever was sent to us.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
