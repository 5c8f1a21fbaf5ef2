package router

import (
	"regexp"
	"slices"
	"strings"
)

// headerMatch is a compiled HeaderMatch.
type headerMatch struct {
	HeaderMatch
	regex *regexp.Regexp
}

// compileMatch evaluates what is the same for every call of a function and returns the conditions on header fields that
// remain. ok is false if no call can match.
func compileMatch(m *Match, path string) (headers []headerMatch, ok bool) {
	if m.QueryParams || len(m.Methods) > 0 && !slices.ContainsFunc(m.Methods, isCallMethod) {
		return nil, false
	}
	match, err := compilePath(m.PathExact, m.PathPrefix, m.PathRegex, m.CaseInsensitive)
	if err != nil || !match(path) {
		return nil, false
	}
	for _, h := range m.Headers {
		compiled := headerMatch{HeaderMatch: h}
		switch {
		case h.Name == "":
			return nil, false
		case h.Regex != "":
			if compiled.regex, err = compileRegex(h.Regex); err != nil {
				return nil, false
			}
		case !h.Present && h.Exact == "" && h.Prefix == "" && h.Suffix == "":
			return nil, false
		}
		headers = append(headers, compiled)
	}
	return headers, true
}

// matches tells whether the header fields of a call fulfil every condition.
func matches(conditions []headerMatch, header func(string) string) bool {
	for i := range conditions {
		value := ""
		if header != nil {
			value = header(conditions[i].Name)
		}
		if !conditions[i].match(value) {
			return false
		}
	}
	return true
}

func (h *headerMatch) match(value string) bool {
	if value == "" { // absent
		return h.Present && h.Invert
	}
	var ok bool
	switch {
	case h.Present:
		ok = true
	case h.Exact != "":
		ok = value == h.Exact
	case h.Prefix != "":
		ok = strings.HasPrefix(value, h.Prefix)
	case h.Suffix != "":
		ok = strings.HasSuffix(value, h.Suffix)
	default:
		ok = h.regex.MatchString(value)
	}
	return ok != h.Invert
}
