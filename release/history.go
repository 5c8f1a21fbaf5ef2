package release

import "fmt"

// History is records of one environment, the latest first, each naming the next as its parent. It may end before the first.
type History []*Record

// Version is a function as it was in a release. That a function did not run is a version, too: one without an artifact.
type Version struct {
	Function
	Release int // number of a release in which it ran
}

// NoEarlierError says that there is nothing to go back to, or forward.
type NoEarlierError struct {
	Function string // "" if it is about a whole release
	Reason   string
}

// Error implements error.
func (e *NoEarlierError) Error() string {
	if e.Function == "" {
		return e.Reason
	}
	return fmt.Sprintf("function %q: %s", e.Function, e.Reason)
}

// Get returns the record of a number, or nil if the history does not hold it.
func (h History) Get(number int) *Record {
	if len(h) == 0 || number > h[0].Number || h[0].Number-number >= len(h) {
		return nil
	}
	return h[h[0].Number-number]
}

// Back returns the release that `rollback` without a name brings back: the one before what runs. What a rollback brought back
// is, for this, where it was made: two rollbacks in a row go back by two.
func (h History) Back() (*Record, error) {
	at, err := h.origin(func(r *Record) bool { return r.Restores > 0 })
	if err != nil {
		return nil, err
	}
	if at.Action == ActionRollback || at.Action == ActionRollforward {
		return nil, &NoEarlierError{Reason: fmt.Sprintf("release %d took back single functions: name the functions that are to go back "+
			"further, or a release with -to, or take that back with `countersign rollforward`", at.Number)}
	}
	before := h.Get(at.Number - 1)
	if before == nil {
		return nil, &NoEarlierError{Reason: h.end(fmt.Sprintf("there is no release before %d", at.Number))}
	}
	return before, nil
}

// Forward returns the release that the latest rollback took back, unless something else followed it.
func (h History) Forward() (*Record, error) {
	at, err := h.origin(func(r *Record) bool { return r.Action == ActionRollforward })
	if err != nil {
		return nil, err
	}
	if at.Action != ActionRollback {
		return nil, &NoEarlierError{Reason: fmt.Sprintf("release %d is no rollback: there is nothing to go forward to", at.Number)}
	}
	taken := h.Get(at.TakesBack)
	if taken == nil {
		return nil, &NoEarlierError{Reason: h.end(fmt.Sprintf("release %d is not at hand", at.TakesBack))}
	}
	return taken, nil
}

// origin follows what the latest record restores, as long as follow wants that.
func (h History) origin(follow func(*Record) bool) (*Record, error) {
	if len(h) == 0 {
		return nil, &NoEarlierError{Reason: "no release is recorded yet: a deploy makes the first"}
	}
	at := h[0]
	for follow(at) {
		to := h.Get(at.Restores)
		if to == nil || to.Number >= at.Number {
			return nil, &NoEarlierError{Reason: h.end(fmt.Sprintf("release %d, which release %d restores, is not at hand", at.Restores, at.Number))}
		}
		if !at.has(to) {
			break
		}
		at = to
	}
	return at, nil
}

// has tells whether all that another release consists of is part of this one. With canaries that are open, a rollback is recorded
// with what serves: what it brought back as a whole may run in part only, and what was aborted never comes.
func (r *Record) has(other *Record) bool {
	for name, f := range other.Functions {
		if r.Functions[name].ArtifactDigest != f.ArtifactDigest {
			return false
		}
	}
	return true
}

// Before returns the version of a function that the present one replaced. Where the present one was brought back by a rollback,
// it is the one that it replaced when it was deployed: two rollbacks in a row go back by two.
func (h History) Before(function string) (Version, error) {
	none := func(format string, args ...any) (Version, error) {
		return Version{}, &NoEarlierError{function, h.end(fmt.Sprintf(format, args...))}
	}
	if len(h) == 0 {
		return none("no release is recorded yet")
	}
	digest := func(i int) string { return h[i].Functions[function].ArtifactDigest }
	present := digest(0)
	for i := 0; ; {
		for i+1 < len(h) && digest(i+1) == present {
			i++
		}
		if i+1 == len(h) {
			if present == "" {
				return none("it runs in none of the releases")
			}
			return none("no other version of it ran before release %d", h[i].Number)
		}
		if h[i].Action != ActionRollback && h[i].Action != ActionRollforward {
			if digest(i+1) == "" {
				return Version{}, &NoEarlierError{function, fmt.Sprintf("it did not run before release %d; `countersign remove %s` takes it away",
					h[i].Number, function)}
			}
			return Version{h[i+1].Functions[function], h[i+1].Number}, nil
		}
		for i++; i < len(h) && digest(i) != present; i++ { // to where it was before it was brought back
		}
		if i == len(h) {
			return none("no other version of it ran before")
		}
	}
}

// end adds to a text that there may be more than what is known.
func (h History) end(text string) string {
	if len(h) > 0 && h[len(h)-1].Number > 1 {
		return fmt.Sprintf("%s; only releases from %d on were looked at: name an earlier one with -to", text, h[len(h)-1].Number)
	}
	return text
}

// Versions returns the versions of a function that ran: first that of a release, if it ran there, then all others, the latest
// first.
func (h History) Versions(function string, first int) []Version {
	var all []Version
	seen := map[string]bool{"": true}
	add := func(r *Record) {
		if f := r.Functions[function]; !seen[f.ArtifactDigest] {
			seen[f.ArtifactDigest] = true
			all = append(all, Version{f, r.Number})
		}
	}
	if r := h.Get(first); r != nil {
		add(r)
	}
	for _, r := range h {
		add(r)
	}
	return all
}
