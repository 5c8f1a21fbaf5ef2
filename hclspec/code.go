package hclspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// CodeCall is a place in the code of a function that uses another function.
type CodeCall struct {
	Callee string
	Range  hcl.Range
}

// CheckCode reports the calls in a function's code that its spec does not list: the platform would refuse them. Of each
// callee the first place is reported.
func CheckCode(f *Function, calls []CodeCall) hcl.Diagnostics {
	r := &reader{}
	if f.incomplete {
		return nil
	}
	seen := map[string]bool{}
	for _, c := range calls {
		if seen[c.Callee] || slices.Contains(f.Calls, c.Callee) {
			continue
		}
		seen[c.Callee] = true
		all := append(slices.Clone(f.Calls), c.Callee)
		for i, name := range all {
			all[i] = fmt.Sprintf("%q", name)
		}
		r.errorAt(c.Range, fmt.Sprintf("Call of %q, which the spec does not list", c.Callee),
			"The platform refuses calls that the spec of %q does not list. Write calls = [%s] into its block (%s, line %d), or "+
				"remove the call.", f.Name, strings.Join(all, ", "), f.Range.Filename, f.Range.Start.Line)
	}
	return finish(r.diags)
}
