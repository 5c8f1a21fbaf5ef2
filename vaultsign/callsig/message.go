package callsig

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// PathPrefix is the path of a call up to the callee's name: POST /call/<name>.
const PathPrefix = "/call/"

// ContentType is the media type of requests and replies.
const ContentType = "application/json"

// ProblemType is the media type of a return that carries an error (RFC 9457).
const ProblemType = "application/problem+json"

// Call is what a call says. All of it is signed.
type Call struct {
	Method      string      // "" means POST
	Path        string      // escaped, without a query; "" means PathPrefix and the callee's name
	Authority   string      // of the node that the call is for, as AuthorityOf has it; "" if that is not signed
	ContentType string      // "" means ContentType
	Caller      identity.ID // who calls
	Callee      identity.ID // the function that is called
	Deadline    time.Time   // when the caller stops waiting; counts in whole milliseconds
	ID          string      // of this call, unique: 1 to 128 printable ASCII characters
	Traceparent string      // W3C trace context, or ""
	Hops        int         // how many calls led to this one; 0 from outside
	Explain     bool        // asks for Return.Explain
	Interface   string      // sha256:<hex> of the callee's interface that the caller was built with; "" if it does not say
	Body        []byte      // covered through its SHA-256 digest; not copied, so leave it alone until verified
}

// Return is the answer to a call. All of it is signed.
type Return struct {
	Status      int              // HTTP status code, 200 to 599
	ContentType string           // "" means ContentType, or ProblemType with a Code
	Code        countersign.Code // why the call failed; "" exactly if Status is below 400
	Explain     string           // what the node verified on the way, for callers that ask; "" if not
	Body        []byte           // covered through its SHA-256 digest; not copied
}

// Algorithm is a signature algorithm by its name in the HTTP Signature Algorithms registry (RFC 9421 section 6.2).
type Algorithm string

// The algorithms.
const (
	Ed25519    Algorithm = "ed25519"     // call keys; RFC 9421 section 3.3.6
	HMACSHA256 Algorithm = "hmac-sha256" // local sessions; section 3.3.3
	// Ed25519Batch is one Ed25519 signature for several messages that were ready at the same moment. It is agreed on
	// between nodes only (docs/call-format.md), and refused from outside.
	Ed25519Batch Algorithm = "ed25519-batch"
)

// Tags of the two kinds of signatures (RFC 9421 section 2.3): no call passes for a return, nor a stranger's signature
// for either.
const (
	TagCall   = "countersign-call"
	TagReturn = "countersign-return"
)

// Labels that our signatures have in Signature and Signature-Input. Other labels are accepted for calls.
const (
	LabelCall   = "call"
	LabelReturn = "return"
)

// Signature is one signature with its parameters.
type Signature struct {
	Label     string    // in Signature-Input; "" means LabelCall or LabelReturn
	Created   int64     // Unix seconds
	Expires   int64     // Unix seconds; 0 on a return: none
	Nonce     string    // "" on a return: none, since the call's nonce is covered
	Algorithm Algorithm // "" if the signer left it to the key
	KeyID     string    // certificate thumbprint, or session ID
	Value     []byte    // 64 bytes (ed25519), 32 bytes (hmac-sha256), 72 and a Merkle path (ed25519-batch)
}

// SignedCall is a call with its signature.
type SignedCall struct {
	Call      Call
	Digest    [sha256.Size]byte // of Call.Body, as signed
	Signature Signature

	value       [64]byte // room for Signature.Value
	digestField string   // Content-Digest as received, if the call came over HTTP
	verified    bool     // by VerifyCall or a Verifier
}

// SignedReturn is a return with its signature.
type SignedReturn struct {
	Return    Return
	CallID    string            // ID of the call that this is a return of, as signed
	Digest    [sha256.Size]byte // of Return.Body, as signed
	Signature Signature

	value    [64]byte
	verified *SignedCall // the call as whose return it was verified, or nil
}

// Verified says what was verified of a call and its return, in this process: "call and return", "call", "return" or
// "nothing". It comes from the verifications themselves. The caller's end of a call between hosts verifies the return
// alone. That covers the call's signature, and the callee's host signs only for calls that it has verified: so there the
// return speaks for the call as well. A session's key proves nothing of the kind, since both ends have it.
func Verified(sc *SignedCall, sr *SignedReturn) string {
	isReturn := sr.verified == sc
	isCall := sc.verified || isReturn && sc.Signature.Algorithm != HMACSHA256
	switch {
	case isCall && isReturn:
		return "call and return"
	case isCall:
		return "call"
	case isReturn:
		return "return"
	}
	return "nothing"
}

// complete fills in what an empty field means.
func (c *Call) complete() {
	if c.Method == "" {
		c.Method = "POST"
	}
	if c.Path == "" {
		c.Path = Path(c.Callee)
	}
	if c.ContentType == "" {
		c.ContentType = ContentType
	}
}

func (r *Return) complete() {
	if r.ContentType != "" {
		return
	}
	if r.ContentType = ContentType; r.Code != "" {
		r.ContentType = ProblemType
	}
}

// Path returns the path at which a function is called.
func Path(callee identity.ID) string { return PathPrefix + callee.Name() }

const (
	maxID          = 128 // bytes of a call's ID
	maxText        = 256 // bytes of content type, traceparent
	maxHops        = 1000
	maxExplain     = 20 << 10            // bytes; in base64 it must stay below maxFieldBytes
	maxDeadlineMS  = 999_999_999_999_999 // what a structured field integer can hold
	minStatus      = 200
	minErrorStatus = 400
	maxStatus      = 599
)

// check refuses a call with fields that cannot stand in a header or a signature base unambiguously.
func (c *Call) check() error {
	switch name, isFunction := c.Callee.Function(); {
	case c.Caller.IsZero():
		return refuse(ReasonMalformed, "the call names no caller")
	case !isFunction:
		return refuse(ReasonMalformed, "the call's callee is not a function")
	case c.Method != "POST":
		return refuse(ReasonMalformed, "a call's method is POST")
	case !strings.HasPrefix(c.Path, PathPrefix) || c.Path[len(PathPrefix):] != name:
		return refuse(ReasonWrongCallee, "the call's path is not that of its callee")
	case !printable(c.ContentType, maxText, ' '):
		return refuse(ReasonMalformed, "bad content-type")
	case !printable(c.ID, maxID, '!'):
		return refuse(ReasonMalformed, "countersign-id is not 1 to %d printable ASCII characters", maxID)
	case c.Authority != "" && !printable(c.Authority, maxText, '!'):
		return refuse(ReasonMalformed, "bad authority")
	case c.Traceparent != "" && !printable(c.Traceparent, maxText, '!'):
		return refuse(ReasonMalformed, "bad traceparent")
	case c.Hops < 0 || c.Hops > maxHops:
		return refuse(ReasonMalformed, "countersign-hops is not 0 to %d", maxHops)
	case c.Interface != "" && !countersign.ValidDigest(c.Interface):
		return refuse(ReasonMalformed, "countersign-interface is not sha256: and 64 hexadecimal digits")
	}
	if ms := c.Deadline.UnixMilli(); ms <= 0 || ms > maxDeadlineMS {
		return refuse(ReasonMalformed, "bad countersign-deadline")
	}
	return nil
}

func (r *Return) check() error {
	switch {
	case r.Status < minStatus || r.Status > maxStatus:
		return refuse(ReasonMalformed, "a return's status is %d to %d", minStatus, maxStatus)
	case r.Status == http.StatusNoContent || r.Status == http.StatusResetContent || r.Status == http.StatusNotModified:
		return refuse(ReasonMalformed, "a return has content, which status %d does not allow", r.Status)
	case !printable(r.ContentType, maxText, ' '):
		return refuse(ReasonMalformed, "bad content-type")
	case (r.Code != "") != (r.Status >= minErrorStatus):
		return refuse(ReasonMalformed, "a return has countersign-code exactly if its status is %d or more", minErrorStatus)
	case r.Code != "" && !validCode(string(r.Code)):
		return refuse(ReasonMalformed, "bad countersign-code")
	case len(r.Explain) > maxExplain:
		return refuse(ReasonMalformed, "countersign-explain has more than %d bytes", maxExplain)
	}
	return nil
}

// printable accepts 1 to most ASCII characters from the given one to '~', without space at either end.
func printable(s string, most int, from byte) bool {
	if s == "" || len(s) > most || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < from || s[i] > '~' {
			return false
		}
	}
	return true
}

func validCode(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c != '_' || i == 0) {
			return false
		}
	}
	return true
}
