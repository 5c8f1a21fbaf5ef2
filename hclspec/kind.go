package hclspec

import (
	"bytes"
	"regexp"
)

// The two kinds of files that KindOf tells apart.
const (
	KindFunctions   = "function"
	KindEnvironment = "environment"
)

var looksLike = regexp.MustCompile(`(?m)^\s*(function|environment)\b`)

// KindOf tells what a file is from its top-level blocks: KindFunctions or KindEnvironment, also if their names are
// misspelled a little or the file cannot be parsed, or "" for a file of another format, such as a Nomad job. A file that
// looks like one of ours to people, whatever else is in it, is ours: it is to be refused and not to be passed over.
func KindOf(src []byte) string {
	if kind := kindOf(src); kind != "" {
		return kind
	}
	seen := visible(src)
	if bytes.Equal(seen, src) {
		return ""
	}
	if kind := kindOf(seen); kind != "" {
		return kind
	}
	if m := looksLike.FindSubmatch(seen); m != nil && checkCharacters("", src) != nil {
		return string(m[1])
	}
	return ""
}

func kindOf(src []byte) string {
	body, diags := parseBody("", src)
	if body != nil {
		kinds := []string{KindFunctions, KindEnvironment}
		for _, b := range body.Blocks {
			for _, kind := range kinds {
				if b.Type == kind || nearest(b.Type, kinds) == kind {
					return kind
				}
			}
		}
	}
	if m := looksLike.FindSubmatch(src); m != nil && diags.HasErrors() {
		return string(m[1])
	}
	return ""
}
