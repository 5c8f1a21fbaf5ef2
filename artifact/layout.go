package artifact

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"countersign/strictjson"
)

// Media types of a function's artifact.
const (
	TypeFunction  = "application/vnd.countersign.function.v1" // the manifest's artifactType
	TypeWasm      = "application/wasm"
	TypeNative    = "application/vnd.countersign.native.v1"
	TypeSpec      = "application/vnd.countersign.spec.v1+hcl"
	TypeInterface = "application/vnd.countersign.interface.v1+json"
)

// AnnotationPlatform is the annotation of a native executable's layer: linux/amd64 or linux/arm64.
const AnnotationPlatform = "platform"

// Limits, in bytes unless said otherwise.
const (
	MaxFile     = 256 << 20 // a WebAssembly module or a native executable
	MaxDocument = 1 << 20   // a spec, an interface document or a bundle
	maxManifest = 256 << 10
	maxLayers   = 16 // number
)

// Contents is what a function's artifact is made of: either a WebAssembly module or native executables.
type Contents struct {
	Function  string
	Wasm      []byte            // WebAssembly module, or nil
	Native    map[string][]byte // platform -> static executable, or empty
	Spec      []byte            // the function spec, HCL as written
	Interface []byte            // the interface document, JSON
}

// File is one executable file of an artifact.
type File struct {
	Name     string // title of the layer, such as quote.wasm
	Platform string // of a native executable, otherwise ""
	Digest   string // sha256:<hex>
}

// blob is bytes and what a manifest says of them.
type blob struct {
	descriptor ocispec.Descriptor
	content    []byte
}

func newBlob(mediaType string, content []byte, annotations map[string]string) blob {
	return blob{ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content)), Annotations: annotations,
	}, content}
}

// emptyConfig is the config of a manifest that needs none (OCI image spec 1.1, "Guidance for an Empty Descriptor").
func emptyConfig() blob { return newBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"), nil) }

// Manifest returns the OCI image manifest of an artifact and its descriptor. It is a pure function of the contents:
// the same function built twice has the same digest.
func Manifest(c Contents) ([]byte, ocispec.Descriptor, error) {
	m, _, err := c.pack()
	return m.content, m.descriptor, err
}

// Files lists the executable files, ordered by name.
func (c Contents) Files() []File { return files(c.layers()) }

// SpecDigest returns sha256:<hex> of the spec's bytes.
func (c Contents) SpecDigest() string { return digest.FromBytes(c.Spec).String() }

// manifestOf returns the manifest of a function with layers of these types, platforms, digests and sizes: what it says
// otherwise, and the order, follow from the format.
func manifestOf(function string, layers []ocispec.Descriptor) ocispec.Manifest {
	m := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: TypeFunction,
		Config:       emptyConfig().descriptor,
	}
	for _, layer := range layers {
		d := ocispec.Descriptor{MediaType: layer.MediaType, Digest: layer.Digest, Size: layer.Size}
		switch layer.MediaType {
		case TypeWasm:
			d.Annotations = map[string]string{ocispec.AnnotationTitle: function + ".wasm"}
		case TypeNative:
			platform := layer.Annotations[AnnotationPlatform]
			d.Annotations = map[string]string{AnnotationPlatform: platform,
				ocispec.AnnotationTitle: function + "-" + strings.ReplaceAll(platform, "/", "-")}
		}
		m.Layers = append(m.Layers, d)
	}
	place := func(d ocispec.Descriptor) int {
		return slices.Index([]string{TypeWasm, TypeNative, TypeSpec, TypeInterface}, d.MediaType)
	}
	slices.SortStableFunc(m.Layers, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Annotations[AnnotationPlatform], b.Annotations[AnnotationPlatform]))
	})
	return m
}

// layers lists the blobs in the order of the manifest: executables by platform, spec, interface.
func (c Contents) layers() []blob {
	var layers []blob
	if c.Wasm != nil {
		layers = append(layers, newBlob(TypeWasm, c.Wasm, map[string]string{ocispec.AnnotationTitle: c.Function + ".wasm"}))
	}
	for _, platform := range slices.Sorted(maps.Keys(c.Native)) {
		layers = append(layers, newBlob(TypeNative, c.Native[platform], map[string]string{
			ocispec.AnnotationTitle: c.Function + "-" + strings.ReplaceAll(platform, "/", "-"),
			AnnotationPlatform:      platform,
		}))
	}
	return append(layers, newBlob(TypeSpec, c.Spec, nil), newBlob(TypeInterface, c.Interface, nil))
}

// pack makes the manifest and everything it refers to.
func (c Contents) pack() (manifest blob, parts []blob, err error) {
	if err := c.check(); err != nil {
		what := fmt.Sprintf("what was built for function %.80q", c.Function)
		return blob{}, nil, &LayoutError{What: what, Reason: err.Error()}
	}
	layers := c.layers()
	config := emptyConfig()
	var descriptors []ocispec.Descriptor
	for _, layer := range layers {
		descriptors = append(descriptors, layer.descriptor)
	}
	m := manifestOf(c.Function, descriptors)
	content, err := json.Marshal(m)
	if err != nil {
		return blob{}, nil, fmt.Errorf("writing the manifest of function %q: %w", c.Function, err)
	}
	manifest = newBlob(ocispec.MediaTypeImageManifest, content, nil)
	manifest.descriptor.ArtifactType = TypeFunction
	return manifest, append([]blob{config}, layers...), nil
}

func (c Contents) check() error {
	var errs []error
	if c.Function == "" {
		errs = append(errs, errors.New("it has no name"))
	}
	if (c.Wasm == nil) == (len(c.Native) == 0) {
		errs = append(errs, errors.New("it must have either a WebAssembly module or native executables"))
	}
	if len(c.Wasm) > MaxFile {
		errs = append(errs, fmt.Errorf("the module has %d bytes, more than %d", len(c.Wasm), MaxFile))
	}
	for platform, executable := range c.Native {
		if err := checkPlatform(platform); err != nil {
			errs = append(errs, err)
		}
		if n := len(executable); n == 0 || n > MaxFile {
			errs = append(errs, fmt.Errorf("the executable for %s has %d bytes, not 1 to %d", platform, n, MaxFile))
		}
	}
	for what, document := range map[string][]byte{"spec": c.Spec, "interface document": c.Interface} {
		if n := len(document); n == 0 || n > MaxDocument {
			errs = append(errs, fmt.Errorf("the %s has %d bytes, not 1 to %d", what, n, MaxDocument))
		}
	}
	return errors.Join(errs...)
}

func checkPlatform(platform string) error {
	if platform != "linux/amd64" && platform != "linux/arm64" {
		return fmt.Errorf("the platform %.40q is neither linux/amd64 nor linux/arm64", platform)
	}
	return nil
}

func files(layers []blob) []File {
	var list []File
	for _, layer := range layers {
		if d := layer.descriptor; d.MediaType == TypeWasm || d.MediaType == TypeNative {
			title, platform := d.Annotations[ocispec.AnnotationTitle], d.Annotations[AnnotationPlatform]
			list = append(list, File{Name: title, Platform: platform, Digest: d.Digest.String()})
		}
	}
	return list
}

// parseManifest reads a manifest down to the descriptors of its layers and refuses what is not a function's: whatever
// Manifest would not write (docs/attestation-format.md, section 1).
func parseManifest(what string, src []byte) ([]ocispec.Descriptor, error) {
	refuse := func(format string, args ...any) ([]ocispec.Descriptor, error) {
		return nil, &LayoutError{What: what, Reason: fmt.Sprintf(format, args...)}
	}
	var m ocispec.Manifest
	if err := strictjson.Decode(src, &m); err != nil {
		return refuse("its manifest is not as it must be: %v", err)
	}
	if m.MediaType != ocispec.MediaTypeImageManifest || m.ArtifactType != TypeFunction {
		return refuse("its types are %.80q and %.80q, not %s and %s", m.MediaType, m.ArtifactType,
			ocispec.MediaTypeImageManifest, TypeFunction)
	}
	if len(m.Layers) > maxLayers {
		return refuse("it has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	seen := map[string]bool{}
	for _, layer := range m.Layers {
		key, err := checkLayer(layer)
		if err != nil {
			return refuse("%v", err)
		}
		if seen[key] {
			return refuse("it has two layers of type %s", layer.MediaType)
		}
		seen[key] = true
	}
	native := slices.ContainsFunc(m.Layers, func(d ocispec.Descriptor) bool { return d.MediaType == TypeNative })
	if !seen[TypeSpec] || !seen[TypeInterface] || seen[TypeWasm] == native {
		return refuse("it does not have a spec, an interface document, and either a module or native executables")
	}
	if !sameJSON(src, manifestOf(functionOf(m.Layers), m.Layers)) {
		return refuse("its manifest has other members, annotations or titles than a function's, or layers in another order")
	}
	return m.Layers, nil
}

// sameJSON tells whether src says what value is written as, white space and the order of members apart.
func sameJSON(src []byte, value any) bool {
	written, err := json.Marshal(value)
	if err != nil {
		return false
	}
	got, err := strictjson.Parse(src, strictjson.MaxDepth)
	want, wantErr := strictjson.Parse(written, strictjson.MaxDepth)
	return err == nil && wantErr == nil && reflect.DeepEqual(got, want)
}

// parseOwn is parseManifest for the artifact of a reference, whose repository names the function.
func parseOwn(ref Reference, src []byte) ([]ocispec.Descriptor, error) {
	layers, err := parseManifest(ref.String(), src)
	if name := functionOf(layers); err == nil && name != ref.Function() {
		return nil, &LayoutError{What: ref.String(), Reason: fmt.Sprintf("its files are titled as those of %.80q", name)}
	}
	return layers, err
}

// checkLayer refuses a layer that no function has, and returns what there may be one of.
func checkLayer(layer ocispec.Descriptor) (key string, err error) {
	limit, key := int64(MaxDocument), layer.MediaType
	switch layer.MediaType {
	case TypeWasm:
		limit = MaxFile
	case TypeNative:
		limit = MaxFile
		platform := layer.Annotations[AnnotationPlatform]
		if err := checkPlatform(platform); err != nil {
			return "", err
		}
		key += platform
	case TypeSpec, TypeInterface:
	default:
		return "", fmt.Errorf("it has a layer of type %.80q", layer.MediaType)
	}
	if err := checkDigest(layer.Digest.String()); err != nil {
		return "", err
	}
	if layer.Size < 1 || layer.Size > limit {
		return "", fmt.Errorf("its layer of type %s states a size of %d bytes, not 1 to %d", layer.MediaType, layer.Size, limit)
	}
	return key, nil
}

// functionOf returns the function that the executables of a manifest are titled as, or "".
func functionOf(layers []ocispec.Descriptor) string {
	for _, layer := range layers {
		suffix := ".wasm"
		if layer.MediaType == TypeNative {
			suffix = "-" + strings.ReplaceAll(layer.Annotations[AnnotationPlatform], "/", "-")
		}
		if name, ok := strings.CutSuffix(layer.Annotations[ocispec.AnnotationTitle], suffix); ok {
			return name
		}
	}
	return ""
}
