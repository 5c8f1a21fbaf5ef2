package scaffold

import (
	"bytes"
	"go/format"
	"path"
	"testing"
)

// TestFilesAreFormatted has names whose imports sort before and after the SDK's, and one that is a word of Go.
func TestFilesAreFormatted(t *testing.T) {
	for _, name := range []string{"greet", "go", "request", "request-for-tea"} {
		for _, module := range []string{"functions.internal/" + name, "a.example/" + name, "z.example/shop/" + name} {
			files, err := Repository{Name: name, Module: module}.Files()
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range files {
				if path.Ext(file) != ".go" {
					continue
				}
				formatted, err := format.Source(text)
				if err != nil || !bytes.Equal(text, formatted) {
					t.Errorf("%s of %s is not as gofmt would have it: %v\n%s", file, module, err, text)
				}
			}
		}
	}
}
