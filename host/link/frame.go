package link

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// kind tells what a frame carries.
type kind uint8

// The kinds of frames. Calls, what answers them, and cancellations have a stream; the others have stream 0.
const (
	kindTerms       kind = 1 // callee → caller, first
	kindCall        kind = 2 // caller → callee
	kindReturn      kind = 3 // callee → caller
	kindRefused     kind = 4 // callee → caller
	kindCancel      kind = 5 // caller → callee
	kindCertificate kind = 6
	kindGoAway      kind = 7 // callee → caller
	kindPing        kind = 8
	kindPong        kind = 9
	kindInterface   kind = 10 // caller → callee
)

const (
	lengthSize = 4
	headerSize = 1 + 8 // kind, stream
	// maxHead is the most that a frame is longer than the body that it carries.
	maxHead = 64 << 10
	// maxControl is the most that a frame without a body has after its header.
	maxControl = 16 << 10
	maxReason  = 1024 // bytes of a refusal's reason
)

// digest stands for a certificate: the SHA-256 of its DER, which is its thumbprint without the base64.
type digest [sha256.Size]byte

// begin appends the header of a frame, and returns where end finds it.
func begin(dst []byte, k kind, stream uint64) ([]byte, int) {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(k))
	return binary.BigEndian.AppendUint64(dst, stream), at
}

// end writes the length of the frame that began at at, of which more bytes follow.
func end(dst []byte, at, more int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-lengthSize+more))
	return dst
}

func appendShort[T string | []byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// appendControl appends a whole frame that carries a payload.
func appendControl(dst []byte, k kind, stream uint64, payload []byte) []byte {
	dst, at := begin(dst, k, stream)
	return end(append(dst, payload...), at, 0)
}

func encodeTerms(t Terms, certificate digest) []byte {
	dst := binary.BigEndian.AppendUint64(nil, uint64(t.Timeout.Milliseconds()))
	flags := byte(0)
	if t.Idempotent {
		flags = 1
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.MaxRequest))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.MaxResponse))
	dst = append(dst, certificate[:]...)
	return appendShort(appendShort(dst, t.Release), t.Interface)
}

func parseTerms(payload []byte) (Terms, digest, error) {
	r := reader{rest: payload}
	timeout, flags := r.number(8), r.number(1)
	request, response := r.number(8), r.number(8)
	certificate := r.digest()
	t := Terms{Timeout: time.Duration(timeout) * time.Millisecond, Idempotent: flags == 1, MaxRequest: int64(request),
		MaxResponse: int64(response), Release: string(r.short()), Interface: string(r.short())}
	switch {
	case !r.done():
		return Terms{}, digest{}, malformed("terms are cut off or too long")
	case timeout == 0 || timeout > math.MaxInt64/uint64(time.Millisecond) || flags > 1:
		return Terms{}, digest{}, malformed("terms with a bad timeout or flags")
	case t.Interface != "" && !countersign.ValidDigest(t.Interface):
		return Terms{}, digest{}, malformed("terms with a bad interface")
	case request > math.MaxInt32 || response > math.MaxInt32:
		return Terms{}, digest{}, malformed("terms with sizes that no frame can have")
	}
	return t, certificate, nil
}

func encodeRefused(code countersign.Code, reason string) []byte {
	return appendShort(appendShort(nil, string(code)), reason[:min(len(reason), maxReason)])
}

func parseRefused(payload []byte) (*RefusedError, error) {
	r := reader{rest: payload}
	e := &RefusedError{Code: countersign.Code(r.short()), Reason: string(r.short())}
	if !r.done() || e.Code == "" || strings.Trim(string(e.Code), "abcdefghijklmnopqrstuvwxyz_") != "" {
		return nil, malformed("refusal is cut off, too long, or has a bad code")
	}
	return e, nil
}

// algorithms of signatures, by their number in a frame.
var algorithms = [...]callsig.Algorithm{1: callsig.Ed25519, 2: callsig.Ed25519Batch}

func numberOf(a callsig.Algorithm) byte { return byte(max(0, slices.Index(algorithms[:], a))) }

const flagExplain = 1

// appendCall appends the frame of a call up to its body.
func appendCall(dst []byte, stream uint64, sc *callsig.SignedCall, key digest) []byte {
	dst, at := begin(dst, kindCall, stream)
	flags := byte(0)
	if sc.Call.Explain {
		flags = flagExplain
	}
	call, s := &sc.Call, &sc.Signature
	dst = append(dst, flags, numberOf(s.Algorithm))
	dst = binary.BigEndian.AppendUint64(dst, uint64(call.Deadline.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Created))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Expires))
	dst = binary.BigEndian.AppendUint16(dst, uint16(call.Hops))
	dst = append(append(dst, key[:]...), sc.Digest[:]...)
	dst = appendShort(dst, s.Value)
	dst = appendShort(dst, s.Nonce)
	dst = appendShort(dst, call.Caller.String())
	dst = appendShort(dst, call.Callee.String())
	dst = appendShort(dst, call.ID)
	dst = appendShort(dst, call.ContentType)
	dst = appendShort(dst, call.Traceparent)
	dst = appendShort(dst, call.Interface)
	return end(dst, at, len(call.Body))
}

// received is a call as it came.
type received struct {
	signed callsig.SignedCall
	key    digest // of the certificate that the signature names
}

// names are what most calls on a connection say, so that they need not be made anew for each.
type names struct {
	caller, callee identity.ID
	built          string // the interface of the last call
}

// digest returns b as a string.
func (n *names) digest(b []byte) string {
	if string(b) != n.built {
		n.built = string(b)
	}
	return n.built
}

func (n *names) id(b []byte) (identity.ID, error) {
	switch string(b) {
	case n.caller.String():
		return n.caller, nil
	case n.callee.String():
		return n.callee, nil
	}
	return identity.ParseID(string(b))
}

// parseCall reads what follows the header of a call. The call refers to payload.
func (n *names) parseCall(payload []byte) (*received, error) {
	r := reader{rest: payload}
	flags, algorithm := r.number(1), r.number(1)
	deadline, created, expires, hops := r.number(8), r.number(8), r.number(8), r.number(2)
	key, sum := r.digest(), r.digest()
	value, nonce := r.short(), r.short()
	caller, callee := r.short(), r.short()
	id, contentType, traceparent, built := r.short(), r.short(), r.short(), r.short()
	if r.broken {
		return nil, malformed("call is cut off")
	}
	if flags&^flagExplain != 0 {
		return nil, malformed("call has unknown flags")
	}
	out := &received{key: key}
	call := &out.signed.Call
	call.Explain = flags&flagExplain != 0
	var err error
	if call.Caller, err = n.id(caller); err != nil {
		return nil, malformed("the caller of a call: %v", err)
	}
	if call.Callee, err = n.id(callee); err != nil {
		return nil, malformed("the callee of a call: %v", err)
	}
	call.Method, call.Path, call.ContentType = "POST", callsig.Path(call.Callee), intern(contentType)
	call.Deadline, call.ID, call.Hops = time.UnixMilli(int64(deadline)), string(id), int(hops)
	call.Traceparent, call.Interface, call.Body = string(traceparent), n.digest(built), r.rest
	out.signed.Digest = sum
	out.signed.Signature = callsig.Signature{Label: callsig.LabelCall, Created: int64(created), Expires: int64(expires),
		Nonce: string(nonce), Algorithm: algorithmOf(algorithm), Value: value}
	return out, nil
}

// unknownAlgorithm is one that no key has.
const unknownAlgorithm callsig.Algorithm = "unknown"

func algorithmOf(n uint64) callsig.Algorithm {
	if n > 0 && n < uint64(len(algorithms)) {
		return algorithms[n]
	}
	return unknownAlgorithm
}

func intern(contentType []byte) string {
	switch string(contentType) {
	case callsig.ContentType:
		return callsig.ContentType
	case callsig.ProblemType:
		return callsig.ProblemType
	}
	return string(contentType)
}

// appendReturn appends the frame of a return up to its body.
func appendReturn(dst []byte, stream uint64, sr *callsig.SignedReturn, key digest) []byte {
	dst, at := begin(dst, kindReturn, stream)
	ret, s := &sr.Return, &sr.Signature
	dst = append(dst, numberOf(s.Algorithm))
	dst = binary.BigEndian.AppendUint16(dst, uint16(ret.Status))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Created))
	dst = append(append(dst, key[:]...), sr.Digest[:]...)
	dst = appendShort(dst, s.Value)
	dst = appendShort(dst, sr.CallID)
	dst = appendShort(dst, string(ret.Code))
	dst = appendShort(dst, ret.ContentType)
	dst = appendShort(dst, ret.Explain)
	return end(dst, at, len(ret.Body))
}

// parseReturn reads what follows the header of a return, which refers to payload then.
func parseReturn(payload []byte) (*callsig.SignedReturn, digest, error) {
	r := reader{rest: payload}
	algorithm, status, created := r.number(1), r.number(2), r.number(8)
	key, sum := r.digest(), r.digest()
	value, id := r.short(), r.short()
	code, contentType, explain := r.short(), r.short(), r.short()
	if r.broken {
		return nil, digest{}, malformed("return is cut off")
	}
	return &callsig.SignedReturn{CallID: string(id), Digest: sum,
		Return: callsig.Return{Status: int(status), Code: countersign.Code(code), ContentType: intern(contentType),
			Explain: string(explain), Body: r.rest},
		Signature: callsig.Signature{Label: callsig.LabelReturn, Created: int64(created),
			Algorithm: algorithmOf(algorithm), Value: value}}, key, nil
}

// reader takes fields off a payload. After the first fault it yields nothing.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) take(n uint64) []byte {
	if r.broken || n > uint64(len(r.rest)) {
		r.broken = true
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) number(size uint64) uint64 {
	n := uint64(0)
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

func (r *reader) digest() (d digest) {
	copy(d[:], r.take(uint64(len(d))))
	return d
}

func (r *reader) short() []byte { return r.take(r.number(2)) }

// done reports whether the payload was read to its end, and no further.
func (r *reader) done() bool { return !r.broken && len(r.rest) == 0 }
