package callsig

import (
	"strconv"
	"strings"
	"sync"

	"countersign/vaultsign/callsig/internal/sf"
)

// component is a covered component: a name and its parameters (RFC 9421 section 2).
type component struct {
	name string // lower-case field name, or a derived component such as "@method"
	id   string // serialized identifier, such as `"signature";req;key="call"`
	req  bool   // of the request that a response answers
	sf   bool   // strictly serialized structured field
	bs   bool   // wrapped as byte sequences
	key  string // member of a dictionary field
}

// source yields the values of components, in the form of the signature base.
type source interface {
	appendValue(dst []byte, c *component) ([]byte, error)
}

// appendBase appends the signature base (RFC 9421 section 2.5) up to where the serialized inner list with its
// parameters belongs.
func appendBase(dst []byte, components []component, src source) ([]byte, error) {
	var err error
	for i := range components {
		dst = append(dst, components[i].id...)
		dst = append(dst, ": "...)
		if dst, err = src.appendValue(dst, &components[i]); err != nil {
			return nil, err
		}
		dst = append(dst, '\n')
	}
	return append(dst, `"@signature-params": `...), nil
}

// covered is a fixed list of components and its serialized form.
type covered struct {
	components []component
	list       string // `("@method" "@path" …)`
}

// field makes a component without parameters.
func field(name string) component { return component{name: name, id: strconv.Quote(name)} }

// ofRequest makes a component of the request that a response answers.
func ofRequest(name string) component {
	return component{name: name, id: strconv.Quote(name) + ";req", req: true}
}

func cover(components ...component) *covered {
	ids := make([]string, len(components))
	for i := range components {
		ids[i] = components[i].id
	}
	return &covered{components: components, list: "(" + strings.Join(ids, " ") + ")"}
}

// What our own signatures cover. The order is ours; verifiers accept any.
var (
	callCovers   [32]*covered // by SignedCall.covers
	returnCovers [4]*covered  // by SignedReturn.covers; for calls with the label LabelCall
)

func init() {
	call := []component{
		field("@method"), field("@path"), field(fieldContentType), field(fieldContentDigest),
		field(fieldCaller), field(fieldCallee), field(fieldDeadline), field(fieldID),
	}
	for i := range callCovers {
		components := append([]component(nil), call...)
		if i&1 != 0 {
			components = append(components, field(fieldTraceparent))
		}
		if i&2 != 0 {
			components = append(components, field(fieldHops))
		}
		if i&8 != 0 {
			components = append(components, field(fieldExplain))
		}
		if i&16 != 0 {
			components = append(components, field(fieldInterface))
		}
		if i&4 != 0 {
			components = append(components, field("@authority"))
		}
		callCovers[i] = cover(components...)
	}
	for i := range returnCovers {
		returnCovers[i] = returnCover(LabelCall, i)
	}
}

// Bits of the fields that not every return has.
const (
	hasCode = 1 << iota
	hasExplain
)

// returnCover lists what a return with the given optional fields covers whose call's signature has the given label.
func returnCover(label string, optional int) *covered {
	components := []component{field("@status"), field(fieldContentType), field(fieldContentDigest), field(fieldID)}
	if optional&hasCode != 0 {
		components = append(components, field(fieldCode))
	}
	if optional&hasExplain != 0 {
		components = append(components, field(fieldExplain))
	}
	return cover(append(components, ofRequest(fieldCallee), ofRequest(fieldContentDigest), callSignature(label))...)
}

// callSignature is the component that ties a return to its call.
func callSignature(label string) component {
	return component{name: fieldSignature, id: `"signature";req;key="` + label + `"`, req: true, key: label}
}

func (sc *SignedCall) covers() *covered {
	i := 0
	if sc.Call.Traceparent != "" {
		i |= 1
	}
	if sc.Call.Hops != 0 {
		i |= 2
	}
	if sc.Call.Authority != "" {
		i |= 4
	}
	if sc.Call.Explain {
		i |= 8
	}
	if sc.Call.Interface != "" {
		i |= 16
	}
	return callCovers[i]
}

func (sr *SignedReturn) covers(call *SignedCall) *covered {
	optional := 0
	if sr.Return.Code != "" {
		optional |= hasCode
	}
	if sr.Return.Explain != "" {
		optional |= hasExplain
	}
	if label := call.Signature.Label; label != "" && label != LabelCall {
		return returnCover(label, optional)
	}
	return returnCovers[optional]
}

// appendParams appends the signature parameters (RFC 9421 section 2.3) in our order. Nonce and key ID have been checked
// to be valid strings.
func appendParams(dst []byte, c *covered, s *Signature, tag string) []byte {
	dst = append(dst, c.list...)
	dst = strconv.AppendInt(append(dst, ";created="...), s.Created, 10)
	if s.Expires != 0 {
		dst = strconv.AppendInt(append(dst, ";expires="...), s.Expires, 10)
	}
	if s.Nonce != "" {
		dst = sf.AppendString(append(dst, ";nonce="...), s.Nonce)
	}
	dst = sf.AppendString(append(dst, ";alg="...), string(s.Algorithm))
	dst = sf.AppendString(append(dst, ";keyid="...), s.KeyID)
	return sf.AppendString(append(dst, ";tag="...), tag)
}

// appendValue implements source with the values that SignRequest would put into the fields.
func (sc *SignedCall) appendValue(dst []byte, c *component) ([]byte, error) {
	call := &sc.Call
	switch c.name {
	case "@method":
		return append(dst, call.Method...), nil
	case "@path":
		return append(dst, call.Path...), nil
	case "@authority":
		return append(dst, call.Authority...), nil
	case fieldContentType:
		return append(dst, call.ContentType...), nil
	case fieldContentDigest:
		if sc.digestField != "" {
			return append(dst, sc.digestField...), nil
		}
		return appendDigest(dst, &sc.Digest), nil
	case fieldCaller:
		return sf.AppendString(dst, call.Caller.String()), nil
	case fieldCallee:
		return sf.AppendString(dst, call.Callee.String()), nil
	case fieldDeadline:
		return strconv.AppendInt(dst, call.Deadline.UnixMilli(), 10), nil
	case fieldID:
		return sf.AppendString(dst, call.ID), nil
	case fieldTraceparent:
		return append(dst, call.Traceparent...), nil
	case fieldHops:
		return strconv.AppendInt(dst, int64(call.Hops), 10), nil
	case fieldExplain:
		return append(dst, explainYes...), nil
	case fieldInterface:
		return sf.AppendString(dst, call.Interface), nil
	case fieldSignature:
		return sf.AppendBytes(dst, sc.Signature.Value), nil
	}
	return nil, refuse(ReasonMalformed, "the call has no component %s", c.id)
}

// answer is a return next to its call: the source of a return's signature base.
type answer struct {
	call *SignedCall
	ret  *SignedReturn
}

// appendValue implements source.
func (a *answer) appendValue(dst []byte, c *component) ([]byte, error) {
	if c.req {
		return a.call.appendValue(dst, c)
	}
	switch c.name {
	case "@status":
		return strconv.AppendInt(dst, int64(a.ret.Return.Status), 10), nil
	case fieldContentType:
		return append(dst, a.ret.Return.ContentType...), nil
	case fieldContentDigest:
		return appendDigest(dst, &a.ret.Digest), nil
	case fieldID:
		return sf.AppendString(dst, a.ret.CallID), nil
	case fieldCode:
		return append(dst, a.ret.Return.Code...), nil
	case fieldExplain:
		return sf.AppendBytes(dst, []byte(a.ret.Return.Explain)), nil
	}
	return nil, refuse(ReasonMalformed, "the return has no component %s", c.id)
}

// scratch is the memory that making one signature base needs; it is pooled.
type scratch struct {
	base   []byte
	answer answer
}

var scratches = sync.Pool{New: func() any {
	return &scratch{base: make([]byte, 0, 2048)}
}}

func (s *scratch) release() {
	const most = 16 << 10 // a huge base does not stay in the pool
	s.answer = answer{}
	if cap(s.base) <= most {
		scratches.Put(s)
	}
}
