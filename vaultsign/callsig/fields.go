package callsig

import (
	"crypto/sha256"

	"countersign/vaultsign/callsig/internal/sf"
)

// Field names as components spell them: in lower case.
const (
	fieldContentType    = "content-type"
	fieldContentDigest  = "content-digest"          // RFC 9530 section 2
	fieldSignature      = "signature"               // RFC 9421 section 4.2
	fieldSignatureInput = "signature-input"         // RFC 9421 section 4.1
	fieldCaller         = "countersign-caller"      // string: SPIFFE ID
	fieldCallee         = "countersign-callee"      // string: SPIFFE ID
	fieldDeadline       = "countersign-deadline"    // integer: milliseconds since the Unix epoch
	fieldID             = "countersign-id"          // string
	fieldHops           = "countersign-hops"        // integer
	fieldInterface      = "countersign-interface"   // string: sha256:<hex>
	fieldCode           = "countersign-code"        // token
	fieldExplain        = "countersign-explain"     // boolean on a call, which is true; byte sequence on a return
	fieldTraceparent    = "traceparent"             // W3C Trace Context, not a structured field
	fieldCertificate    = "countersign-certificate" // byte sequence: DER
)

// explainYes is the only value of countersign-explain on a call: who does not ask leaves the field out.
const explainYes = "?1"

// HTTP field names, for those who read or write a header themselves.
const (
	HeaderCaller      = "Countersign-Caller"
	HeaderCallee      = "Countersign-Callee"
	HeaderDeadline    = "Countersign-Deadline"
	HeaderID          = "Countersign-Id"
	HeaderHops        = "Countersign-Hops"
	HeaderInterface   = "Countersign-Interface"
	HeaderCode        = "Countersign-Code"
	HeaderExplain     = "Countersign-Explain"
	HeaderCertificate = "Countersign-Certificate"
)

// ContentDigest returns the value of a Content-Digest field (RFC 9530) with the SHA-256 digest of body.
func ContentDigest(body []byte) string {
	digest := sha256.Sum256(body)
	return string(appendDigest(nil, &digest))
}

func appendDigest(dst []byte, digest *[sha256.Size]byte) []byte {
	return sf.AppendBytes(append(dst, "sha-256="...), digest[:])
}
