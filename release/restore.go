package release

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxTries bounds the search of Restore, in sets of functions that are looked at.
const maxTries = 4000

// Move brings a function to a version that ran before.
type Move struct {
	Function string
	From     Function // what runs; zero: it does not run
	To       Version
	Because  *Misfit // why it has to move, if nobody asked for it
}

// NoWayBackError says that versions were asked for, and that no versions of other functions are known which fit to them.
// Nothing was changed.
type NoWayBackError struct {
	Misfits []Misfit // if only what was asked for moved
	Tried   bool     // all there is was tried; otherwise it was given up
}

// Error implements error.
func (e *NoWayBackError) Error() string {
	var b strings.Builder
	b.WriteString("what is asked for does not fit to what runs, and no earlier versions of other functions do; nothing was changed:")
	if !e.Tried {
		b.Reset()
		b.WriteString("what is asked for does not fit to what runs; a set of functions that fit was not found soon enough; nothing was changed:")
	}
	for _, m := range e.Misfits {
		b.WriteString("\n  " + m.String())
	}
	b.WriteString("\n  name more functions, or a whole release with -to; `countersign remove` takes functions away that did not run then")
	return b.String()
}

// Unwrap returns why interfaces could not be compared.
func (e *NoWayBackError) Unwrap() []error { return (&MisfitError{e.Misfits}).Unwrap() }

// Restore finds the smallest set of functions that have to move so that wish runs, by name, and all interfaces fit. Functions
// that have to move, too, get a version of the history: if it can be, the one that ran together with what they have to fit to,
// otherwise the latest. The moves are in order of name; what runs as it is wished is none. The error is a *NoWayBackError.
func Restore(wish map[string]Version, running map[string]Function, history History, documents Interfaces) ([]Move, error) {
	s := &search{running: running, history: history, documents: documents, moved: map[string]Version{}, because: map[string]*Misfit{}}
	for name, v := range wish {
		s.moved[name] = v
	}
	asked := s.misfits()
	for room := 0; ; room++ {
		s.bounded = false
		if s.extend(room) {
			return s.moves(), nil
		}
		if !s.bounded || s.tries >= maxTries {
			return nil, &NoWayBackError{Misfits: asked, Tried: !s.bounded}
		}
	}
}

// search is one for the smallest set.
type search struct {
	running   map[string]Function
	history   History
	documents Interfaces
	moved     map[string]Version // decided by now
	because   map[string]*Misfit
	tries     int
	bounded   bool // there is more to look at, with more room
}

// misfits returns what does not fit of what was decided by now.
func (s *search) misfits() []Misfit {
	deploy := map[string]Function{}
	for name, v := range s.moved {
		deploy[name] = v.Function
	}
	var misfit *MisfitError
	if errors.As(Fit(deploy, s.running, nil, s.documents), &misfit) {
		return misfit.Misfits
	}
	return nil
}

// extend moves at most room functions more, so that all fit, and tells whether they do. Of a pair that does not fit one was
// decided already: the other has to move, or the decision was wrong.
func (s *search) extend(room int) bool {
	misfits := s.misfits()
	if misfits == nil {
		return true
	}
	if s.tries++; room == 0 || s.tries > maxTries {
		s.bounded = true
		return false
	}
	m := misfits[0]
	m.Caller.Runs, m.Callee.Runs = false, false // it becomes a reason for the move of either
	free, fixed := m.Caller.Name, m.Callee.Name
	if _, decided := s.moved[free]; decided {
		free, fixed = fixed, free
	}
	if _, decided := s.moved[free]; decided {
		return false
	}
	for _, v := range s.history.Versions(free, s.moved[fixed].Release) {
		if v.ArtifactDigest == s.running[free].ArtifactDigest || !s.fits(m, free, v) {
			continue
		}
		s.moved[free], s.because[free] = v, &m
		if s.extend(room - 1) {
			return true
		}
		delete(s.moved, free)
		delete(s.because, free)
	}
	return false
}

// fits tells whether the pair of a misfit fits with another version of one of them.
func (s *search) fits(m Misfit, free string, v Version) bool {
	of := func(name string) Function {
		if name == free {
			return v.Function
		}
		return s.moved[name].Function
	}
	return Meet(m.Caller.Name, of(m.Caller.Name), m.Callee.Name, of(m.Callee.Name), s.documents) == nil
}

func (s *search) moves() (list []Move) {
	for _, name := range slices.Sorted(maps.Keys(s.moved)) {
		if v := s.moved[name]; v.ArtifactDigest != s.running[name].ArtifactDigest {
			list = append(list, Move{name, s.running[name], v, s.because[name]})
		}
	}
	return list
}

// Reason tells why the function moves, in one line.
func (m Move) Reason() string {
	switch {
	case m.From.ArtifactDigest == m.To.ArtifactDigest:
		return "goes on where it was interrupted"
	case m.Because == nil:
		return "asked for"
	}
	reason, _, _ := strings.Cut(m.Because.String(), "\n")
	return fmt.Sprintf("has to move, too: %s", reason)
}
