package callsig

import (
	"net/http"

	"countersign/vaultsign/callsig/internal/sf"
)

// maxComponents bounds how many components a signature may cover.
const maxComponents = 64

// received is a signature as it was found on an HTTP message, before anything is verified.
type received struct {
	signature  Signature
	components []component
	params     []byte // the serialized inner list
}

// findSignature returns the one signature of a message that has the tag. Other signatures are none of our business.
func findSignature(header http.Header, tag string) (*received, error) {
	if len(header.Values(fieldSignatureInput)) == 0 || len(header.Values(fieldSignature)) == 0 {
		return nil, refuse(ReasonUnsigned, "the message has no Signature and Signature-Input fields")
	}
	inputs, err := readDict(header, fieldSignatureInput)
	if err != nil {
		return nil, err
	}
	values, err := readDict(header, fieldSignature)
	if err != nil {
		return nil, err
	}
	var found *sf.Member
	for i := range inputs {
		if got, _ := inputs[i].Item.Params.Get("tag"); got != any(tag) {
			continue
		}
		if found != nil {
			return nil, refuse(ReasonMalformed, "the message has more than one signature with tag %q", tag)
		}
		found = &inputs[i]
	}
	if found == nil {
		return nil, refuse(ReasonUnsigned, "the message has no signature with tag %q", tag)
	}
	value, ok := values.Get(found.Key)
	bytes, isBytes := value.Value.([]byte)
	if !ok || !isBytes || len(bytes) == 0 {
		return nil, refuse(ReasonMalformed, "Signature has no byte sequence with the label of Signature-Input")
	}
	return readSignature(found, bytes)
}

func readDict(header http.Header, name string) (sf.Dict, error) {
	value, err := combine(name, header.Values(name))
	if err != nil {
		return nil, err
	}
	d, err := sf.ParseDict(value)
	if err != nil {
		return nil, because(ReasonMalformed, err, "read field %s", name)
	}
	return d, nil
}

// readSignature reads a member of Signature-Input (RFC 9421 section 4.1).
func readSignature(m *sf.Member, value []byte) (*received, error) {
	if !m.Item.IsList {
		return nil, refuse(ReasonMalformed, "Signature-Input is not a list of components")
	}
	if len(m.Item.Inner) > maxComponents {
		return nil, refuse(ReasonMalformed, "the signature covers more than %d components", maxComponents)
	}
	r := &received{params: sf.AppendItem(nil, m.Item)}
	for _, it := range m.Item.Inner {
		c, err := readComponent(it)
		if err != nil {
			return nil, err
		}
		if r.find(&c) {
			return nil, refuse(ReasonMalformed, "the signature covers %s twice", c.id)
		}
		r.components = append(r.components, c)
	}
	r.signature = Signature{Label: m.Key, Value: value}
	return r, r.readParams(m.Item.Params)
}

// readParams reads the parameters that have a meaning (RFC 9421 section 2.3). Unknown ones are signed, and so harmless.
func (r *received) readParams(params sf.Params) error {
	s := &r.signature
	for _, p := range params {
		ok := true
		switch p.Key {
		case "created":
			s.Created, ok = p.Value.(int64)
		case "expires":
			s.Expires, ok = p.Value.(int64)
			ok = ok && s.Expires > 0
		case "nonce":
			s.Nonce, ok = p.Value.(string)
		case "keyid":
			s.KeyID, ok = p.Value.(string)
		case "alg":
			var alg string
			alg, ok = p.Value.(string)
			s.Algorithm = Algorithm(alg)
			ok = ok && alg != ""
		}
		if !ok {
			return refuse(ReasonMalformed, "signature parameter %s has a wrong type", p.Key)
		}
	}
	if s.KeyID == "" {
		return refuse(ReasonMalformed, "the signature has no keyid")
	}
	return nil
}

// find reports whether a component with the same name and parameters is covered. The order of parameters does not tell
// components apart (RFC 9421 section 2).
func (r *received) find(c *component) bool {
	for i := range r.components {
		have := r.components[i]
		have.id = c.id
		if have == *c {
			return true
		}
	}
	return false
}

// require refuses a signature that does not cover one of the components.
func (r *received) require(components []component) error {
	for i := range components {
		if !r.find(&components[i]) {
			return refuse(ReasonMissingComponent, "the signature does not cover %s", components[i].id)
		}
	}
	return nil
}
