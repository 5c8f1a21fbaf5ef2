package router

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"countersign"
)

// anyName is the name in an intention that stands for every function.
const anyName = "*"

// callMethod and callPath are what the conditions of config entries on HTTP requests see of a call.
const callMethod = "POST"

func callPath(function string) string { return "/call/" + function }

// intentions holds the intentions of a snapshot by destination, then by source.
type intentions map[string]map[string]*rule

// rule is one intention.
type rule struct {
	allow       bool
	permissions []permission
	text        string // how people call the intention
}

type permission struct {
	allow bool
	match func(path string) bool
}

func compileIntentions(list []Intention) intentions {
	all := intentions{}
	for _, in := range list {
		r := &rule{allow: in.Allow, text: fmt.Sprintf("the intention %s -> %s", in.Source, in.Destination)}
		for _, p := range in.Permissions {
			r.permissions = append(r.permissions, compilePermission(p))
		}
		sources := all[in.Destination]
		if sources == nil {
			sources = map[string]*rule{}
			all[in.Destination] = sources
		}
		if old := sources[in.Source]; old != nil && !old.always() {
			continue // Consul has no two for one pair; if there are, the one that refuses stays
		}
		sources[in.Source] = r
	}
	return all
}

// always tells whether the rule allows every call.
func (r *rule) always() bool { return r.allow && len(r.permissions) == 0 }

// compilePermission makes p decide on the path alone. What can't be known, or compiled, is met when the permission
// denies, and not met when it allows.
func compilePermission(p Permission) permission {
	never := func(string) bool { return !p.Allow }
	if p.Unknowable {
		if p.Allow {
			return permission{p.Allow, never}
		}
		// A denial with such conditions applies if the rest of it does.
	}
	if len(p.Methods) > 0 && !slices.ContainsFunc(p.Methods, isCallMethod) {
		return permission{p.Allow, func(string) bool { return false }}
	}
	match, err := compilePath(p.PathExact, p.PathPrefix, p.PathRegex, false)
	if err != nil {
		return permission{p.Allow, never}
	}
	return permission{p.Allow, match}
}

func isCallMethod(m string) bool { return strings.EqualFold(m, callMethod) }

// compilePath returns the condition on a path. At most one of exact, prefix and regex should be set; without any, every
// path fits. An expression must match the whole path, as in Envoy.
func compilePath(exact, prefix, regex string, fold bool) (func(string) bool, error) {
	switch {
	case exact != "" && fold:
		return func(path string) bool { return strings.EqualFold(path, exact) }, nil
	case exact != "":
		return func(path string) bool { return path == exact }, nil
	case prefix != "" && fold:
		return func(path string) bool {
			return len(path) >= len(prefix) && strings.EqualFold(path[:len(prefix)], prefix)
		}, nil
	case prefix != "":
		return func(path string) bool { return strings.HasPrefix(path, prefix) }, nil
	case regex != "":
		if fold {
			regex = "(?i)" + regex
		}
		re, err := compileRegex(regex)
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	}
	return func(string) bool { return true }, nil
}

// compileRegex compiles an expression that must match the whole of a text.
func compileRegex(expr string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expr); err != nil { // before it can be closed by the parentheses below
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	return re, nil
}

// find returns the intention that applies to a call, or nil. Precedence is Consul's: an exact destination goes before
// "*", then an exact source before "*".
func (all intentions) find(caller, callee string) *rule {
	for _, sources := range [2]map[string]*rule{all[callee], all[anyName]} {
		if r := sources[caller]; r != nil {
			return r
		}
		if r := sources[anyName]; r != nil {
			return r
		}
	}
	return nil
}

// permit tells whether caller may call callee, and which intention says no if not.
func (all intentions) permit(caller, callee string) (ok bool, why string) {
	if caller == anyName || callee == anyName { // no function has this name
		return false, "no intention allows it"
	}
	r := all.find(caller, callee)
	if r == nil {
		return false, "no intention allows it"
	}
	if len(r.permissions) == 0 {
		if r.allow {
			return true, ""
		}
		return false, r.text + " denies it"
	}
	path := callPath(callee)
	for _, p := range r.permissions {
		if p.match(path) {
			if p.allow {
				return true, ""
			}
			return false, r.text + " has a permission that denies it"
		}
	}
	return false, r.text + " has no permission that allows it"
}

func notPermitted(caller, callee, why string) error {
	return countersign.Errorf(countersign.CodeNotPermitted, callee, "%q may not call %q: %s in Consul", caller, callee,
		why)
}
