package link

import (
	"countersign"
	"countersign/interfaces"
	"countersign/vaultsign/callsig"
)

const (
	maxInterface = interfaces.MaxShown
	// maxInterfaces is how many a caller may send on one connection. One is what it needs.
	maxInterfaces = 8
)

// shown is what a caller has sent of the interfaces that it was built with: digest → why the callee does not serve it,
// nil if it does.
type shown map[string]error

// show takes an interface that the caller says it was built with.
func (c *serving) show(document []byte) error {
	if err := c.callee.Permit(c.peer.peer); err != nil {
		return nil // its calls are refused one by one
	}
	if len(c.shown) >= maxInterfaces {
		return malformed("more than %d interfaces", maxInterfaces)
	}
	digest, err := c.callee.Serves(document)
	if digest == "" {
		return malformed("an interface: %v", err)
	}
	if _, again := c.shown[digest]; again {
		return malformed("interface %s is sent twice", digest)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown == nil {
		c.shown = shown{}
	}
	c.shown[digest] = err
	return nil
}

// fits tells whether the caller's code and the callee's understand each other: the call was built with the callee's
// interface, or with one that the callee serves as well.
func (c *serving) fits(call *callsig.Call) error {
	if call.Interface == c.terms.Interface {
		return nil
	}
	c.mu.Lock()
	why, known := c.shown[call.Interface]
	c.mu.Unlock()
	switch {
	case call.Interface == "":
		return countersign.Errorf(countersign.CodeInterfaceMismatch, c.function, "the call does not say which interface its caller was built with")
	case !known:
		return countersign.Errorf(countersign.CodeInterfaceMismatch, c.function,
			"the caller was built with interface %s, which is not this instance's (%s)", countersign.Short(call.Interface),
			countersign.Short(c.terms.Interface))
	}
	return why
}

// toShow returns the interface that has to be sent before a call, nil if none has. The caller holds l.mu.
func (l *link) toShow(digest string) []byte {
	if digest == "" || digest == l.terms.Interface || l.showed[digest] || len(l.showed) >= maxInterfaces {
		return nil
	}
	document := l.from.BuiltWith(digest)
	if document == nil || len(document) > maxInterface {
		return nil
	}
	if l.showed == nil {
		l.showed = map[string]bool{}
	}
	l.showed[digest] = true
	return document
}
