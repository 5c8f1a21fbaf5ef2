package artifact

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseInterface(t *testing.T) {
	visible := `{"function":"quote","reply":{"format":"int32","kind":"integer"},"request":{"kind":"string"}}`
	const tax = `{"reply":{"kind":"boolean"},"request":{"kind":"any"}}`
	document := `{"calls":{"tax":` + tax + `,"unlisted":` + tax + `},` + strings.TrimPrefix(visible, "{")
	got, err := ParseInterface("quote", []byte(document), []string{"tax", "fx"})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(visible))); got.Digest != want {
		t.Errorf("digest = %s, want that of %s: %s", got.Digest, visible, want)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(`{"function":"tax",`+tax[1:])))
	if want := map[string]string{"tax": digest}; !reflect.DeepEqual(got.Calls, want) {
		t.Errorf("calls = %v, want %v: only what the spec permits", got.Calls, want)
	}
	if doc := got.Document; doc.Calls["tax"].Digest() != digest || doc.Digest() != got.Digest {
		t.Errorf("document %+v", doc)
	}
	spaced := strings.ReplaceAll(document, ":", " :\n")
	if other, err := ParseInterface("quote", []byte(spaced), nil); err != nil || other.Digest != got.Digest {
		t.Errorf("with other white space: digest %v, error %v; want the same digest", other, err)
	}
}

func TestParseInterfaceRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"not JSON":        {"nope", "interface document"},
		"no request":      {`{"calls":{},"function":"quote","reply":{"kind":"any"}}`, "request"},
		"no name":         {`{"calls":{},"request":{"kind":"any"},"reply":{"kind":"any"}}`, "function"},
		"another's name":  {`{"calls":{},"function":"tax","request":{"kind":"any"},"reply":{"kind":"any"}}`, `calls itself "tax"`},
		"calls not a map": {`{"function":"quote","request":{"kind":"any"},"reply":{"kind":"any"},"calls":[1]}`, "calls"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseInterface("quote", []byte(tc.document), nil); err == nil ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}
