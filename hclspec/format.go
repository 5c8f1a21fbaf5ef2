package hclspec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Digest identifies a spec: "sha256:" and the SHA-256 of its bytes as lower-case hexadecimal digits.
func Digest(src []byte) string {
	sum := sha256.Sum256(src)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Format returns src, a file of either format, in the canonical layout: two spaces per level, equals signs aligned,
// lines that end with a newline only. The content stays the same, comments included. A file that cannot be parsed is
// not formatted; diagnostics name it "input".
func Format(src []byte) ([]byte, hcl.Diagnostics) {
	if _, diags := parseBody("input", src); diags.HasErrors() {
		return nil, finish(diags)
	}
	out := hclwrite.Format(bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")))
	if out = bytes.TrimSpace(out); len(out) > 0 {
		out = append(out, '\n')
	}
	return out, nil
}
