package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"

	"countersign/artifact"
)

// Interface is what a function looks like to its callers, and what it expects of the functions that it calls.
type Interface struct {
	Document []byte            // the interface document of the artifact, as the function itself describes it
	Digest   string            // sha256:<hex> of the part that callers see
	Calls    map[string]string // callee -> digest of the callee's interface that the artifact was built with
}

// parseInterface reads the interface document of function. calls are the functions that its spec lets it call: what
// the code knows beyond them it cannot reach, so it does not have to fit.
func parseInterface(function string, document []byte, calls []string) (*Interface, error) {
	var doc struct {
		Function string            `json:"function"`
		Calls    map[string]string `json:"calls"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("interface document of function %q: %w", function, err)
	}
	if doc.Function != function {
		return nil, fmt.Errorf("the artifact of function %q calls itself %q: make the name in sdk.Define, in the spec and "+
			"in the BUILD file the same", function, doc.Function)
	}
	visible, err := artifact.InterfaceDigest(document)
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", function, err)
	}
	built := maps.Clone(doc.Calls)
	maps.DeleteFunc(built, func(callee, _ string) bool { return !slices.Contains(calls, callee) })
	return &Interface{Document: document, Digest: visible, Calls: built}, nil
}

// Misfit is a caller that was built with another version of its callee's interface than the one it would meet.
type Misfit struct {
	Caller, Callee string
	BuiltWith      string // interface digest of the callee when the caller was built
	Meets          string // interface digest of the callee as it would run; "" if it would not run at all
	CallerRuns     bool   // the caller is not part of this deploy: it runs already
	CalleeRuns     bool   // the callee is not part of this deploy: it runs already
}

func (m Misfit) String() string {
	caller, callee := fmt.Sprintf("%q", m.Caller), fmt.Sprintf("%q", m.Callee)
	if m.CallerRuns {
		caller += " (running, not part of this deploy)"
	}
	if m.CalleeRuns {
		callee += " (running, not part of this deploy)"
	}
	if m.Meets == "" {
		return fmt.Sprintf("%s calls %s, which neither runs nor is part of this deploy: deploy both", caller, callee)
	}
	return fmt.Sprintf("%s was built with interface %s of %s, but would meet %s: pin commits that fit in repos.bzl and "+
		"deploy both", caller, countersign.Short(m.BuiltWith), callee, countersign.Short(m.Meets))
}

// MisfitError refuses a deploy in which callers and callees do not fit. Nothing was run.
type MisfitError struct{ Misfits []Misfit }

// Error implements error.
func (e *MisfitError) Error() string {
	lines := make([]string, len(e.Misfits))
	for i, m := range e.Misfits {
		lines[i] = "\n  " + m.String()
	}
	return "interfaces do not fit; nothing was changed:" + strings.Join(lines, "")
}

// Running is a function that the cluster runs now, as its Nomad job tells.
type Running struct {
	ArtifactDigest string            // sha256:<hex> of the OCI manifest
	Commit         string            // of the source, as attested
	Interface      string            // digest of its interface, or "" if the job does not say
	Calls          map[string]string // callee -> interface digest that it was built with
	Callees        []string          // functions that its spec lets it call
}

// checkInterfaces tells whether all callers and callees fit after deploying the functions of deploy into a cluster
// that runs the functions of running. The error is a *MisfitError.
func checkInterfaces(deploy map[string]*Interface, running map[string]Running) error {
	var misfits []Misfit
	check := func(caller string, calls map[string]string, callerRuns bool) {
		for _, callee := range slices.Sorted(maps.Keys(calls)) {
			m := Misfit{Caller: caller, Callee: callee, BuiltWith: calls[callee], CallerRuns: callerRuns}
			if d, ok := deploy[callee]; ok {
				m.Meets = d.Digest
			} else if r, ok := running[callee]; ok {
				m.Meets, m.CalleeRuns = r.Interface, true
			}
			if callerRuns && (m.CalleeRuns || m.Meets == "") {
				continue // this deploy changes nothing for them
			}
			if m.Meets != m.BuiltWith {
				misfits = append(misfits, m)
			}
		}
	}
	for _, caller := range slices.Sorted(maps.Keys(deploy)) {
		check(caller, deploy[caller].Calls, false)
	}
	for _, caller := range slices.Sorted(maps.Keys(running)) {
		if _, replaced := deploy[caller]; !replaced {
			check(caller, running[caller].Calls, true)
		}
	}
	if misfits != nil {
		return &MisfitError{misfits}
	}
	return nil
}

// formatCalls and parseCalls turn Interface.Calls into a value of a Nomad job's meta and back: "fx=sha256:…
// tax=sha256:…".
func formatCalls(calls map[string]string) string {
	parts := make([]string, 0, len(calls))
	for _, callee := range slices.Sorted(maps.Keys(calls)) {
		parts = append(parts, callee+"="+calls[callee])
	}
	return strings.Join(parts, " ")
}

func parseCalls(s string) (map[string]string, error) {
	calls := map[string]string{}
	for _, part := range strings.Fields(s) {
		callee, digest, ok := strings.Cut(part, "=")
		if !ok || callee == "" || digest == "" {
			return nil, errors.New("want callee=digest, got " + part)
		}
		calls[callee] = digest
	}
	return calls, nil
}
