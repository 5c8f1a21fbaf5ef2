package release

import (
	"maps"
	"slices"
)

// Difference is what changes from one record to another, function by function in order of name.
type Difference struct {
	Added   []string
	Removed []string
	Changed []Change
}

// Change is what is different about a function that both records have.
type Change struct {
	Function string
	Fields   []string // members of the encoding that differ, such as artifact_digest, in order of name
}

// Empty tells whether there is no difference between the functions.
func (d *Difference) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Diff tells what changes from one record to another. It looks at functions only: that two records are of different
// environments is no difference.
func Diff(from, to *Record) *Difference {
	d := &Difference{}
	for _, name := range from.Names() {
		if _, ok := to.Functions[name]; !ok {
			d.Removed = append(d.Removed, name)
		}
	}
	for _, name := range to.Names() {
		before, ok := from.Functions[name]
		if !ok {
			d.Added = append(d.Added, name)
			continue
		}
		if fields := before.diff(to.Functions[name]); fields != nil {
			d.Changed = append(d.Changed, Change{name, fields})
		}
	}
	return d
}

// diff names the members of the encoding that differ.
func (f Function) diff(to Function) []string {
	var fields []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"artifact", f.Artifact == to.Artifact},
		{"artifact_digest", f.ArtifactDigest == to.ArtifactDigest},
		{"callees", slices.Equal(f.Callees, to.Callees)},
		{"calls", maps.Equal(f.Calls, to.Calls)},
		{"commit", f.Commit == to.Commit},
		{"interface_digest", f.InterfaceDigest == to.InterfaceDigest},
		{"key", f.Key == to.Key},
		{"repository", f.Repository == to.Repository},
		{"spec_digest", f.SpecDigest == to.SpecDigest},
	} {
		if !field.same {
			fields = append(fields, field.name)
		}
	}
	return fields
}
