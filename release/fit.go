package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"
	"countersign/interfaces"
)

// Interfaces returns the interface document of a function. Fit asks for it only where digests differ.
type Interfaces func(name string, f Function) (*interfaces.Document, error)

// Misfit is a caller that would meet a callee that it can't call.
type Misfit struct {
	Caller, Callee Party
	BuiltWith      string // interface digest of the callee when the caller was built
	Meets          string // interface digest of the callee as it would run; "" if it would not run at all
	Differences    []interfaces.Difference
	Unknown        error // why the interfaces could not be compared, or nil
}

// Party is one of the two functions of a Misfit.
type Party struct {
	Name   string
	Commit string // of its source; "" if it is not known
	Runs   bool   // it is not part of this deploy: it runs already
}

// String names the function and the commit.
func (p Party) String() string {
	if p.Commit == "" {
		return p.Name
	}
	return p.Name + "@" + p.Commit[:min(7, len(p.Commit))]
}

// running is what to add at its first mention.
func (p Party) running() string {
	if p.Runs {
		return p.String() + " (running, not part of this deploy)"
	}
	return p.String()
}

func (m Misfit) String() string {
	caller, callee := m.Caller.running(), m.Callee.running()
	switch {
	case m.Meets == "":
		return fmt.Sprintf("%s calls %s, which neither runs nor is part of this deploy: deploy both", caller, m.Callee)
	case m.Unknown != nil:
		return fmt.Sprintf("%s was built with interface %s of %s, but would meet %s of %s, and the two can't be compared: %v",
			caller, countersign.Short(m.BuiltWith), m.Callee.Name, countersign.Short(m.Meets), callee, m.Unknown)
	}
	var lines []string
	for _, d := range m.Differences {
		lines = append(lines, d.Tell(caller, m.Callee.Name, callee))
		caller, callee = m.Caller.String(), m.Callee.String()
	}
	return strings.Join(lines, "\n  ")
}

// MisfitError refuses a deploy in which callers and callees do not fit. Nothing was run.
type MisfitError struct{ Misfits []Misfit }

// Error implements error.
func (e *MisfitError) Error() string {
	lines := make([]string, len(e.Misfits))
	for i, m := range e.Misfits {
		lines[i] = "\n  " + m.String()
	}
	return "interfaces do not fit; nothing was changed:" + strings.Join(lines, "") +
		"\n  pin commits that fit in repos.bzl and deploy both"
}

// Unwrap returns why interfaces could not be compared.
func (e *MisfitError) Unwrap() []error {
	var errs []error
	for _, m := range e.Misfits {
		if m.Unknown != nil {
			errs = append(errs, m.Unknown)
		}
	}
	return errs
}

// Fit tells whether all callers and callees fit when the functions of deploy are brought to where the functions of
// running run: whether each callee serves what its caller was built with (package interfaces). The error is a
// *MisfitError.
func Fit(deploy, running, beside map[string]Function, documents Interfaces) error {
	var misfits []Misfit
	check := func(caller string, f Function, callerRuns bool) {
		for _, callee := range slices.Sorted(maps.Keys(f.Calls)) {
			to, deployed := deploy[callee]
			calleeRuns := false
			if !deployed {
				to, calleeRuns = running[callee]
			}
			if callerRuns && !deployed {
				continue // this deploy changes nothing for them
			}
			m := Meet(caller, f, callee, to, documents)
			if other, two := beside[callee]; m != nil && two && !deployed && Meet(caller, f, callee, other, documents) == nil {
				m = nil // routers lead it there
			}
			if m != nil {
				m.Caller.Runs, m.Callee.Runs = callerRuns, calleeRuns
				misfits = append(misfits, *m)
			}
		}
	}
	for _, caller := range slices.Sorted(maps.Keys(deploy)) {
		check(caller, deploy[caller], false)
	}
	for _, caller := range slices.Sorted(maps.Keys(running)) {
		if _, replaced := deploy[caller]; !replaced {
			check(caller, running[caller], true)
		}
	}
	if misfits != nil {
		return &MisfitError{misfits}
	}
	return nil
}

// Meet tells what is the matter if a caller meets a callee, or nil. The zero Function is a callee that does not run. What
// can't be compared does not fit, unless it is the same.
func Meet(caller string, from Function, callee string, to Function, documents Interfaces) *Misfit {
	m := &Misfit{
		Caller: Party{Name: caller, Commit: from.Commit}, Callee: Party{Name: callee, Commit: to.Commit},
		BuiltWith: from.Calls[callee], Meets: to.InterfaceDigest,
	}
	if m.BuiltWith == m.Meets || m.BuiltWith == "" {
		return nil // the code of a caller without the callee's types does not call it
	}
	if m.Meets == "" {
		return m
	}
	builtWith, has, err := m.read(from, to, documents)
	if err != nil {
		m.Unknown = err
		return m
	}
	if size := len(builtWith.Encode()); size > interfaces.MaxShown {
		m.Unknown = fmt.Errorf("%s was built with %d bytes of it, which is too large to be shown to other hosts: at most %d are", caller, size,
			interfaces.MaxShown)
		return m
	}
	if m.Differences = has.Serves(builtWith); len(m.Differences) == 0 {
		return nil
	}
	return m
}

// read returns what the caller was built with and what the callee has. That they are what the records say is checked.
func (m *Misfit) read(from, to Function, documents Interfaces) (builtWith, has *interfaces.Interface, err error) {
	of := func(p Party, f Function) (*interfaces.Document, error) {
		doc, err := documents(p.Name, f)
		if err != nil {
			return nil, fmt.Errorf("reading the interface document of %s: %w", p, err)
		}
		return doc, nil
	}
	caller, err := of(m.Caller, from)
	if err != nil {
		return nil, nil, err
	}
	callee, err := of(m.Callee, to)
	if err != nil {
		return nil, nil, err
	}
	builtWith, has = caller.Calls[m.Callee.Name], &callee.Interface
	if builtWith == nil || builtWith.Digest() != m.BuiltWith {
		return nil, nil, fmt.Errorf("the artifact of %s was built with another interface of %s than is said of it", m.Caller, m.Callee.Name)
	}
	if has.Digest() != m.Meets {
		return nil, nil, fmt.Errorf("the artifact of %s has another interface than is said of it", m.Callee)
	}
	return builtWith, has, nil
}
