package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/pins"
	"countersign/pipeline/progress"
	"countersign/release"
)

// PinResult is a pin of repos.bzl that has to follow what was moved.
type PinResult struct {
	Repository string `json:"repository"` // name of its entry; "" if there is none
	From       string `json:"from,omitempty"`
	To         string `json:"to"`               // commit
	Set        bool   `json:"set"`              // in the file, or with a plan: it would be
	Remark     string `json:"remark,omitempty"` // why it is not set, or what else the next deploy does because of it
}

// align brings repos.bzl in line with what was asked for and what moved with it, so that the next deploy does not take that
// forward again.
func (r *rollback) align() error {
	moved, others := map[string]release.Function{}, map[string]release.Function{}
	for name, f := range r.head.Functions {
		others[name] = f
	}
	maps.Copy(moved, r.begun)
	for _, m := range r.moves {
		moved[m.Function] = m.To.Function
	}
	for name := range moved {
		delete(others, name)
	}
	if len(moved) == 0 {
		return nil
	}
	return r.engine.Steps.Step("", progress.StepPin, func(func(string)) (o progress.Outcome, err error) {
		if r.Repos == "" {
			r.pins = unpinnable(moved)
			return progress.Nothing("there is no " + pins.FileName + " here: see that what is pinned is what runs"), nil
		}
		file, err := pins.Read(r.Repos)
		if err != nil {
			return o, fmt.Errorf("what was asked for runs, and its pins are as before: %w", err)
		}
		if r.pins, err = pin(file, moved, others); err != nil {
			return o, err
		}
		text, set := tellPins(r.pins)
		if r.PlanOnly || set == 0 {
			return progress.Nothing(text), nil
		}
		return progress.Did(text), file.Write()
	})
}

// unpinnable are the pins that somebody else has to set.
func unpinnable(moved map[string]release.Function) (list []PinResult) {
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		list = append(list, PinResult{To: moved[name].Commit, Remark: fmt.Sprintf("pin %s to it, where %s is from", moved[name].Repository, name)})
	}
	return list
}

// pin edits the pins of what moved. others are the functions that did not.
func pin(file *pins.File, moved, others map[string]release.Function) (list []PinResult, err error) {
	of := map[string][]string{} // repository -> functions that moved
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		entry, ok := file.Of(name)
		if !ok {
			list = append(list, PinResult{To: moved[name].Commit, Remark: fmt.Sprintf("nothing in %s has function %s", file.Path(), name)})
			continue
		}
		of[entry.Name] = append(of[entry.Name], name)
	}
	for _, repository := range slices.Sorted(maps.Keys(of)) {
		entry, _ := file.Entry(repository)
		result := follow(entry, of[repository], moved, others)
		if result.To == entry.Commit {
			continue
		}
		if result.Set {
			if err := file.Set(repository, result.To); err != nil {
				return list, err
			}
		}
		list = append(list, result)
	}
	return list, nil
}

// follow tells which commit the pin of a repository has to have, now that some of its functions moved.
func follow(entry pins.Entry, names []string, moved, others map[string]release.Function) PinResult {
	result := PinResult{Repository: entry.Name, From: entry.Commit, To: moved[names[0]].Commit, Set: true}
	for _, name := range names {
		f := moved[name]
		if f.Repository != entry.Remote {
			result.Set, result.Remark = false, fmt.Sprintf("%s was built from %s, and %s pins %s", name, f.Repository, pins.FileName, entry.Remote)
			return result
		}
		if f.Commit != result.To {
			result.Set, result.Remark = false, fmt.Sprintf("%s is from another commit, %s, and only one can be pinned: the next deploy moves what the pin does not fit", name, f.Commit)
			return result
		}
	}
	var also []string
	for _, name := range entry.Names() {
		if f, runs := others[name]; runs && f.Commit != result.To {
			also = append(also, name)
		}
	}
	if also != nil {
		result.Remark = fmt.Sprintf("%s, which did not move, was attested from another commit: the next deploy builds it from this one, too", strings.Join(also, ", "))
	}
	return result
}

// tellPins tells in one line what became of the pins, and how many are set.
func tellPins(list []PinResult) (text string, set int) {
	var parts []string
	for _, p := range list {
		if p.Set {
			set++
			parts = append(parts, fmt.Sprintf("%s to %s", p.Repository, p.To[:min(12, len(p.To))]))
		}
	}
	if set == 0 {
		return "no pin has to move", 0
	}
	return strings.Join(parts, ", "), set
}
