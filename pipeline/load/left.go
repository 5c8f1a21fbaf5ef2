package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"countersign/hclspec"
)

// Left is a function that is not deployed while others are, and why. What ran before of it goes on running.
type Left struct {
	Function string
	Err      error
}

// Reason says why in words for people. It may have several lines.
func (l Left) Reason() string {
	var diagnostics *DiagnosticsError
	if errors.As(l.Err, &diagnostics) {
		return "its spec is not right\n" + diagnostics.Text()
	}
	return l.Err.Error()
}

// NothingError is that of a deploy which leaves every function behind, and names them.
type NothingError struct{ text string }

// Error implements error. The text has several lines.
func (e *NothingError) Error() string { return e.text }

// NothingLeft is the error of a deploy that leaves every function behind.
func NothingLeft(left []Left) error {
	var b strings.Builder
	b.WriteString("no function can be deployed; nothing was changed")
	for _, l := range left {
		fmt.Fprintf(&b, "\n  %s: %s", l.Function, strings.ReplaceAll(l.Reason(), "\n", "\n    "))
	}
	return &NothingError{b.String()}
}

// Whole is the error of a deploy that takes either all functions or none: that of each which would be left behind, and err.
func Whole(left []Left, err error) error { return whole(left, err) }

// whole shows all that is wrong with HCL at once, and anything else only if there is nothing of that.
func whole(left []Left, err error) error {
	var all *DiagnosticsError
	var others []error
	add := func(err error) {
		var d *DiagnosticsError
		switch {
		case err == nil:
		case !errors.As(err, &d):
			others = append(others, err)
		case all == nil:
			all = &DiagnosticsError{slices.Clone(d.Diagnostics), d.Sources}
		default:
			all.Diagnostics = appendNew(all.Diagnostics, d.Diagnostics)
		}
	}
	add(err)
	for _, l := range left {
		add(l.Err)
	}
	if all != nil {
		return all
	}
	return errors.Join(others...)
}

// appendNew adds diagnostics that are not there yet: several functions may be in one file.
func appendNew(all, more hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range more {
		same := func(o *hcl.Diagnostic) bool { return o.Error() == d.Error() }
		if !slices.ContainsFunc(all, same) {
			all = append(all, d)
		}
	}
	return all
}

// Divide checks as Check does, and takes functions out of the build until all is well. left are those, each with what is
// wrong with it. The error is a *DiagnosticsError about the environment.
func (l *Build) Divide(elsewhere ...string) (left []Left, err error) {
	for {
		var functions []*hclspec.Function
		for _, s := range l.Sources {
			functions = append(functions, s.Function)
		}
		diagnostics := hclspec.Check(functions, l.Environment, elsewhere...)
		if !diagnostics.HasErrors() {
			return left, nil
		}
		wrong := map[string]hcl.Diagnostics{} // by spec file
		for _, d := range diagnostics {
			if d.Severity == hcl.DiagError && d.Subject != nil {
				wrong[d.Subject.Filename] = append(wrong[d.Subject.Filename], d)
			}
		}
		before := len(l.Sources)
		l.Sources = slices.DeleteFunc(l.Sources, func(s *Source) bool {
			found := wrong[s.Function.Range.Filename]
			if found != nil {
				left = append(left, Left{s.Name, &DiagnosticsError{found, l.files}})
			}
			return found != nil
		})
		if len(l.Sources) == before {
			return left, &DiagnosticsError{diagnostics, l.files}
		}
	}
}
