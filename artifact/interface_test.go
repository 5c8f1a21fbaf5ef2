package artifact

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseInterface(t *testing.T) {
	visible := `{"function":"quote","reply":{"kind":"integer"},"request":{"kind":"string"}}`
	document := `{"calls":{"tax":"sha256:aa","unlisted":"sha256:bb"},` + strings.TrimPrefix(visible, "{")
	got, err := ParseInterface("quote", []byte(document), []string{"tax", "fx"})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(visible))); got.Digest != want {
		t.Errorf("digest = %s, want that of %s: %s", got.Digest, visible, want)
	}
	if want := map[string]string{"tax": "sha256:aa"}; !reflect.DeepEqual(got.Calls, want) {
		t.Errorf("calls = %v, want %v: only what the spec permits", got.Calls, want)
	}
	spaced := strings.ReplaceAll(document, ":", " :\n")
	spaced = strings.ReplaceAll(spaced, "sha256 :\n", "sha256:")
	if other, err := ParseInterface("quote", []byte(spaced), nil); err != nil || other.Digest != got.Digest {
		t.Errorf("with other white space: digest %v, error %v; want the same digest", other, err)
	}
}

func TestParseInterfaceRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"not JSON":        {"nope", "interface document"},
		"no request":      {`{"function":"quote","reply":{}}`, "missing"},
		"no name":         {`{"request":{},"reply":{}}`, `calls itself ""`},
		"another's name":  {`{"function":"tax","request":{},"reply":{}}`, `calls itself "tax"`},
		"calls not a map": {`{"function":"quote","request":{},"reply":{},"calls":[1]}`, "interface document"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseInterface("quote", []byte(tc.document), nil); err == nil ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}
