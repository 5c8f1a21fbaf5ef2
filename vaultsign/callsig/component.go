package callsig

import (
	"strings"

	"countersign/vaultsign/callsig/internal/sf"
)

// readComponent reads a component identifier of a received signature (RFC 9421 section 2). Parameters that change the
// value in a way not known here are refused: tr (trailers) and name (query parameters) among them.
func readComponent(it sf.Item) (component, error) {
	name, ok := it.Value.(string)
	if !ok || it.IsList {
		return component{}, refuse(ReasonMalformed, "a covered component is not a string")
	}
	if !validComponentName(name) {
		return component{}, refuse(ReasonMalformed, "covered component %q is not a lower-case field name or @name", name)
	}
	c := component{name: name, id: string(sf.AppendItem(nil, it))}
	for _, p := range it.Params {
		key, isKey := p.Value.(string)
		switch set := p.Value == any(true); {
		case p.Key == "req" && set:
			c.req = true
		case p.Key == "sf" && set:
			c.sf = true
		case p.Key == "bs" && set:
			c.bs = true
		case p.Key == "key" && isKey && key != "":
			c.key = key
		default:
			return component{}, refuse(ReasonMalformed, "component %q has an unsupported parameter %q", name, p.Key)
		}
	}
	derived := name[0] == '@'
	if derived && (c.sf || c.bs || c.key != "") || c.bs && (c.sf || c.key != "") {
		return component{}, refuse(ReasonMalformed, "component %q has parameters that do not go together", name)
	}
	return c, nil
}

func validComponentName(name string) bool {
	rest := strings.TrimPrefix(name, "@")
	if rest == "" || len(name) > 128 {
		return false
	}
	for i := range len(rest) {
		// token characters of RFC 9110 section 5.6.2 in lower case
		if c := rest[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// kind is the type of a structured field, which a serialization needs to know.
type kind int

const (
	kindItem kind = iota + 1
	kindList
	kindDict
)

// structured holds the types of the fields that can be covered with ;sf.
var structured = map[string]kind{
	fieldContentDigest: kindDict, "repr-digest": kindDict, "want-content-digest": kindDict, "want-repr-digest": kindDict,
	fieldSignature: kindDict, fieldSignatureInput: kindDict, "accept-signature": kindDict, "priority": kindDict,
	"cache-status": kindList, "proxy-status": kindList, fieldCertificate: kindItem, fieldCaller: kindItem,
	fieldCallee: kindItem, fieldDeadline: kindItem, fieldID: kindItem, fieldHops: kindItem, fieldCode: kindItem,
	fieldExplain: kindItem, fieldInterface: kindItem,
}

// reserialize appends the strict serialization of a structured field (RFC 9421 section 2.1.1).
func reserialize(dst []byte, name, value string) ([]byte, error) {
	switch structured[name] {
	case kindDict:
		d, err := sf.ParseDict(value)
		if err != nil {
			return nil, because(ReasonMalformed, err, "read field %s", name)
		}
		return sf.AppendDict(dst, d), nil
	case kindList:
		l, err := sf.ParseList(value)
		if err != nil {
			return nil, because(ReasonMalformed, err, "read field %s", name)
		}
		return sf.AppendList(dst, l), nil
	case kindItem:
		it, err := sf.ParseItem(value)
		if err != nil {
			return nil, because(ReasonMalformed, err, "read field %s", name)
		}
		return sf.AppendItem(dst, it), nil
	}
	return nil, refuse(ReasonMalformed, "the type of field %s is not known, so ;sf cannot be verified", name)
}
