package artifact

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestManifestsWithSomethingElse has manifests that say more, less or something else than the format allows.
func TestManifestsWithSomethingElse(t *testing.T) {
	wasm, _, err := Manifest(quote())
	if err != nil {
		t.Fatal(err)
	}
	both, _, err := Manifest(native())
	if err != nil {
		t.Fatal(err)
	}
	for _, fine := range []string{string(wasm), string(both), " " + strings.ReplaceAll(string(wasm), ",", ", ")} {
		if _, err := parseManifest("it", []byte(fine)); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	empty := "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	layer := `{"mediaType":"` + TypeSpec + `"`
	for name, edit := range map[string][2]string{
		"a foreign member":                {`{"schemaVersion":2,`, `{"schemaVersion":2,"x":1,`},
		"a member twice":                  {`{"schemaVersion":2,`, `{"schemaVersion":2,"schemaVersion":2,`},
		"a member in another case":        {`{"schemaVersion":2,`, `{"schemaVersion":2,"ArtifactType":"x",`},
		"a member in another case only":   {`"artifactType"`, `"artifacttype"`},
		"layers twice":                    {`{"schemaVersion":2,`, `{"schemaVersion":2,"layers":[],`},
		"long s":                          {`"layers"`, `"layer\u017f"`},
		"another schema":                  {`"schemaVersion":2`, `"schemaVersion":1`},
		"no schema":                       {`"schemaVersion":2,`, ``},
		"annotations":                     {`{"schemaVersion":2,`, `{"schemaVersion":2,"annotations":{"a":"b"},`},
		"empty annotations":               {`{"schemaVersion":2,`, `{"schemaVersion":2,"annotations":{},`},
		"annotations that are null":       {`{"schemaVersion":2,`, `{"schemaVersion":2,"annotations":null,`},
		"a subject":                       {`{"schemaVersion":2,`, `{"schemaVersion":2,"subject":{"mediaType":"x","digest":"` + empty + `","size":2},`},
		"another config":                  {empty, digest.FromString("x").String()},
		"another config type":             {ocispec.MediaTypeEmptyJSON, "application/json"},
		"a config with data":              {`"size":2}`, `"size":2,"data":"e30="}`},
		"an annotation of a layer":        {layer, layer + `,"annotations":{"a":"b"}`},
		"a title of the spec":             {layer, layer + `,"annotations":{"org.opencontainers.image.title":"quote.wasm"}`},
		"the URL of a layer":              {layer, layer + `,"urls":["https://x.example"]`},
		"the data of a layer":             {layer, layer + `,"data":"eA=="`},
		"the platform of a layer":         {layer, layer + `,"platform":{"os":"linux","architecture":"amd64"}`},
		"a foreign member of a layer":     {layer, layer + `,"x":1`},
		"a size twice":                    {`"size":19`, `"size":19,"size":19`},
		"a size in another case":          {`"size":19`, `"size":19,"Size":20`},
		"a size as a fraction":            {`"size":19`, `"size":1.9e1`},
		"another title":                   {"quote.wasm", "quote.exe"},
		"a second annotation":             {`"quote.wasm"`, `"quote.wasm","a":"b"`},
		"no title":                        {`,"annotations":{"org.opencontainers.image.title":"quote.wasm"}`, ``},
		"a byte order mark":               {`{"schemaVersion"`, "\xef\xbb\xbf" + `{"schemaVersion"`},
		"something after it":              {`{"schemaVersion":2,`, `{}{"schemaVersion":2,`},
		"a platform that does not fit":    {"quote-linux-amd64", "quote-linux-arm64"},
		"titles of two functions":         {"quote-linux-amd64", "other-linux-amd64"},
		"a platform twice":                {`"platform":"linux/amd64"`, `"platform":"linux/arm64"`},
		"an artifact without a spec":      {TypeSpec, TypeInterface},
		"an artifact without executables": {TypeWasm, TypeSpec},
	} {
		src := string(wasm)
		if !strings.Contains(src, edit[0]) {
			src = string(both)
		}
		changed := strings.Replace(src, edit[0], edit[1], 1)
		if changed == src {
			t.Fatalf("%s: nothing was changed", name)
		}
		var layout *LayoutError
		if _, err := parseManifest("it", []byte(changed)); !errors.As(err, &layout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayersInAnotherOrder(t *testing.T) {
	for _, c := range []Contents{quote(), native()} {
		_, parts, err := c.pack()
		if err != nil {
			t.Fatal(err)
		}
		var layers []ocispec.Descriptor
		for _, b := range parts[1:] {
			layers = append(layers, b.descriptor)
		}
		good := manifestOf("quote", layers)
		for i := range good.Layers[1:] {
			m := manifestOf("quote", layers)
			m.Layers[i], m.Layers[i+1] = m.Layers[i+1], m.Layers[i]
			src := newJSON(t, m)
			if _, err := parseManifest("it", src); err == nil {
				t.Errorf("accepted %s", src)
			}
		}
		mixed := manifestOf("quote", append(layers, newBlob(TypeWasm, []byte("x"), nil).descriptor, newBlob(TypeNative, []byte("y"),
			map[string]string{AnnotationPlatform: "linux/amd64"}).descriptor))
		if _, err := parseManifest("it", newJSON(t, mixed)); err == nil {
			t.Error("accepted a module beside an executable")
		}
	}
}

// TestLayersThatNoFunctionHas has manifests that are as the format wants, but for what one of their layers is.
func TestLayersThatNoFunctionHas(t *testing.T) {
	_, parts, err := quote().pack()
	if err != nil {
		t.Fatal(err)
	}
	documents := []ocispec.Descriptor{parts[2].descriptor, parts[3].descriptor}
	on := func(platform string) ocispec.Descriptor {
		return newBlob(TypeNative, []byte("x"), map[string]string{AnnotationPlatform: platform}).descriptor
	}
	edited := func(edit func(*ocispec.Descriptor)) ocispec.Descriptor {
		d := on("linux/amd64")
		edit(&d)
		return d
	}
	for name, tt := range map[string]struct {
		layers []ocispec.Descriptor
		ok     bool
	}{
		"as it must be":      {[]ocispec.Descriptor{on("linux/amd64"), on("linux/arm64")}, true},
		"another type":       {[]ocispec.Descriptor{on("linux/amd64"), newBlob("application/x", []byte("x"), nil).descriptor}, false},
		"another platform":   {[]ocispec.Descriptor{on("linux/amd64"), on("linux/riscv64")}, false},
		"no platform":        {[]ocispec.Descriptor{on("linux/amd64"), on("")}, false},
		"a platform twice":   {[]ocispec.Descriptor{on("linux/amd64"), on("linux/amd64")}, false},
		"another digest":     {[]ocispec.Descriptor{edited(func(d *ocispec.Descriptor) { d.Digest = digest.SHA512.FromString("x") })}, false},
		"a path as digest":   {[]ocispec.Descriptor{edited(func(d *ocispec.Descriptor) { d.Digest = "sha256:../../etc/passwd" })}, false},
		"nothing":            {[]ocispec.Descriptor{edited(func(d *ocispec.Descriptor) { d.Size = 0 })}, false},
		"more than a file":   {[]ocispec.Descriptor{edited(func(d *ocispec.Descriptor) { d.Size = MaxFile + 1 })}, false},
		"the largest file":   {[]ocispec.Descriptor{edited(func(d *ocispec.Descriptor) { d.Size = MaxFile })}, true},
		"no executable":      {nil, false},
		"a module beside it": {[]ocispec.Descriptor{on("linux/amd64"), newBlob(TypeWasm, []byte("x"), nil).descriptor}, false},
	} {
		src := newJSON(t, manifestOf("quote", append(tt.layers, documents...)))
		if _, err := parseManifest("it", src); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newJSON(t *testing.T, value any) []byte {
	t.Helper()
	src, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestAnotherFunctionsArtifact puts an artifact into the repository of another function.
func TestAnotherFunctionsArtifact(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	ref.Repository = "shop/tax"
	var layout *LayoutError
	if _, err := Pull(t.Context(), store, ref); !errors.As(err, &layout) {
		t.Errorf("%v", err)
	}
	if _, err := PullDocuments(t.Context(), store, ref); !errors.As(err, &layout) {
		t.Errorf("%v", err)
	}
}
