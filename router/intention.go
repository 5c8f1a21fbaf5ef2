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

// intentions holds the intentions of a snapshot by destination, each list sorted by source.
type intentions map[string][]rule

// rule is one intention.
type rule struct {
	source      string
	allow       bool
	permissions []permission
}

type permission struct {
	allow bool
	match func(path string) bool
}

func compileIntentions(list []Intention) intentions {
	all := intentions{}
	for _, in := range list {
		r := rule{source: in.Source, allow: in.Allow}
		for _, p := range in.Permissions {
			r.permissions = append(r.permissions, compilePermission(p))
		}
		rules := all[in.Destination]
		i, found := findRule(rules, in.Source)
		switch {
		case !found:
			all[in.Destination] = slices.Insert(rules, i, r)
		case rules[i].always(): // Consul has no two for one pair; if there are, the one that refuses stays
			rules[i] = r
		}
	}
	return all
}

func findRule(rules []rule, source string) (int, bool) {
	return slices.BinarySearchFunc(rules, source, func(r rule, source string) int {
		return strings.Compare(r.source, source)
	})
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

// permit tells whether caller may call callee, and which intention says no if not. Precedence is Consul's: an exact
// destination goes before "*", then an exact source before "*".
func (all intentions) permit(caller, callee string) (ok bool, why string) {
	return permit(all[callee], all[anyName], caller, callee)
}

// permit is intentions.permit for who has the rules for callee and for any destination at hand.
func permit(exact, anyDestination []rule, caller, callee string) (ok bool, why string) {
	if caller != anyName && callee != anyName { // no function has this name
		for _, source := range [2]string{caller, anyName} {
			if i, found := findRule(exact, source); found {
				return exact[i].permit(callee, callee)
			}
		}
		for _, source := range [2]string{caller, anyName} {
			if i, found := findRule(anyDestination, source); found {
				return anyDestination[i].permit(anyName, callee)
			}
		}
	}
	return false, "no intention allows it"
}

// permit tells whether the rule, for a destination, allows a call of callee.
func (r *rule) permit(destination, callee string) (ok bool, why string) {
	if r.always() {
		return true, ""
	}
	why = "denies it"
	if len(r.permissions) > 0 {
		path := callPath(callee)
		i := slices.IndexFunc(r.permissions, func(p permission) bool { return p.match(path) })
		switch {
		case i < 0:
			why = "has no permission that allows it"
		case r.permissions[i].allow:
			return true, ""
		default:
			why = "has a permission that denies it"
		}
	}
	return false, fmt.Sprintf("the intention %s -> %s %s", r.source, destination, why)
}

func notPermitted(caller, callee, why string) error {
	return countersign.Errorf(countersign.CodeNotPermitted, callee, "%q may not call %q: %s in Consul", caller, callee,
		why)
}
