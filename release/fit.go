package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"
)

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

// Fit tells whether all callers and callees fit when the functions of deploy are brought to where the functions of
// running run. The error is a *MisfitError.
func Fit(deploy, running map[string]Function) error {
	var misfits []Misfit
	check := func(caller string, calls map[string]string, callerRuns bool) {
		for _, callee := range slices.Sorted(maps.Keys(calls)) {
			m := Misfit{Caller: caller, Callee: callee, BuiltWith: calls[callee], CallerRuns: callerRuns}
			if d, ok := deploy[callee]; ok {
				m.Meets = d.InterfaceDigest
			} else if r, ok := running[callee]; ok {
				m.Meets, m.CalleeRuns = r.InterfaceDigest, true
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
