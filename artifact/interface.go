package artifact

import (
	"fmt"
	"slices"

	"countersign/interfaces"
)

// Interface is what a function looks like to its callers, and what it expects of the functions that it calls.
type Interface struct {
	Digest   string               // sha256:<hex> of the part that callers see
	Calls    map[string]string    // callee -> digest of the callee's interface that the artifact was built with
	Document *interfaces.Document // the whole; its Calls may have more callees
}

// ParseInterface reads the interface document of function. calls are the functions that its spec lets it call: what
// the code knows beyond them it cannot reach, so it does not have to fit.
func ParseInterface(function string, document []byte, calls []string) (*Interface, error) {
	doc, err := interfaces.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", function, err)
	}
	if doc.Function != function {
		return nil, fmt.Errorf("the artifact of function %q calls itself %q: make the name in sdk.Define, in the spec and "+
			"in the BUILD file the same", function, doc.Function)
	}
	i := &Interface{Digest: doc.Digest(), Calls: map[string]string{}, Document: doc}
	for callee, built := range doc.Calls {
		if slices.Contains(calls, callee) {
			i.Calls[callee] = built.Digest()
		}
	}
	return i, nil
}

// InterfaceDigest returns sha256:<hex> of the part of an interface document that callers see, in its canonical encoding:
// how the document is written makes no difference.
func InterfaceDigest(document []byte) (string, error) {
	doc, err := interfaces.Parse(document)
	if err != nil {
		return "", err
	}
	return doc.Digest(), nil
}
