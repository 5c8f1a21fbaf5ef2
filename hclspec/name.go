package hclspec

import (
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"countersign"
)

var (
	// A Bazel label with its package written out: @repo//some/package:target. Relative labels would mean something else
	// in each repository.
	validLabel = regexp.MustCompile(`^(@{1,2}[A-Za-z0-9_][A-Za-z0-9_.~+-]*)?//` +
		`([A-Za-z0-9_.@/+=,~-]*)(:[A-Za-z0-9_.@/+=,~-]+)?$`)

	unsafeInName = regexp.MustCompile(`[^a-z0-9]+`)
)

// checkName reports a name that is none, with the nearest that is one.
func (r *reader) checkName(what, name string, at hcl.Range) bool {
	if name == countersign.ReleaseKey {
		r.errorAt(at, "Invalid name", "%s is the name of the key that signs releases: choose another.", name)
		return false
	}
	if countersign.ValidName(name) {
		return true
	}
	hint := strings.Trim(unsafeInName.ReplaceAllString(strings.ToLower(name), "-"), "-0123456789")
	if len(hint) > countersign.MaxNameLength {
		hint = strings.TrimRight(hint[:countersign.MaxNameLength], "-")
	}
	if countersign.ValidName(hint) {
		hint = " For example: " + hint
	} else {
		hint = ""
	}
	r.errorAt(at, "Invalid name", "The name of a %s has at most %d lower-case letters, digits and hyphens; it starts "+
		"with a letter and does not end with a hyphen.%s", what, countersign.MaxNameLength, hint)
	return false
}

// checkLabel reports a Bazel label that is none.
func (r *reader) checkLabel(label string, at hcl.Range) bool {
	m := validLabel.FindStringSubmatch(label)
	if m != nil && cleanSegments(m[2]) && (m[2] != "" || m[3] != "") && cleanSegments(strings.TrimPrefix(m[3], ":")) {
		return true
	}
	hint := ""
	if strings.HasPrefix(label, ":") && validLabel.MatchString("//"+label) {
		hint = " Did you mean \"//" + label + "\"?"
	}
	r.errorAt(at, "Invalid label", "The target is a full Bazel label, such as \"@quote//:quote\" or "+
		"\"//functions/quote:quote\".%s", hint)
	return false
}

// cleanSegments tells whether a path in a label has no empty, "." or ".." segment. "" is the top package.
func cleanSegments(p string) bool {
	if p == "" {
		return true
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// checkPath reports a directory that is not absolute, not in its shortest form, or one of the system's own.
func (r *reader) checkPath(p string, at hcl.Range) bool {
	switch {
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) || len(p) > 1024:
		r.errorAt(at, "Invalid path", "A path has at most 1024 bytes of UTF-8 and no control characters.")
	case !strings.HasPrefix(p, "/"):
		r.errorAt(at, "Path is not absolute", "Write the whole path; it starts with a slash.")
	case path.Clean(p) != p:
		r.errorAt(at, "Path is not in its shortest form", "Remove trailing and double slashes, and the segments . and ..")
	case p == "/" || within(p, "/proc") || within(p, "/sys") || within(p, "/dev"):
		r.errorAt(at, "Path of the system", "A storage tag is a directory of its own below the root, and not in /proc, /sys "+
			"or /dev.")
	default:
		return true
	}
	return false
}

// within tells whether the clean path p is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
