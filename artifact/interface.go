package artifact

import (
	"fmt"
	"maps"
	"slices"

	"countersign/strictjson"
)

// Interface is what a function looks like to its callers, and what it expects of the functions that it calls.
type Interface struct {
	Digest string            // sha256:<hex> of the part that callers see
	Calls  map[string]string // callee -> digest of the callee's interface that the artifact was built with
}

// ParseInterface reads the interface document of function. calls are the functions that its spec lets it call: what
// the code knows beyond them it cannot reach, so it does not have to fit.
func ParseInterface(function string, document []byte, calls []string) (*Interface, error) {
	var doc struct {
		Function string            `json:"function"`
		Calls    map[string]string `json:"calls"`
	}
	if err := strictjson.DecodeOpen(document, &doc); err != nil {
		return nil, fmt.Errorf("interface document of function %q: %w", function, err)
	}
	if doc.Function != function {
		return nil, fmt.Errorf("the artifact of function %q calls itself %q: make the name in sdk.Define, in the spec and "+
			"in the BUILD file the same", function, doc.Function)
	}
	visible, err := InterfaceDigest(document)
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", function, err)
	}
	built := maps.Clone(doc.Calls)
	maps.DeleteFunc(built, func(callee, _ string) bool { return !slices.Contains(calls, callee) })
	return &Interface{Digest: visible, Calls: built}, nil
}
