package artifact

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Documents is an artifact without its executables: enough to say what the function is and to plan how it runs. Every
// byte was checked against the digest of the manifest. Bundles are not: what they state is for package attest to verify.
type Documents struct {
	Reference Reference // with the digest of the manifest; its last part is the function's name
	Spec      []byte    // the function spec, HCL as written
	Interface []byte    // the interface document, JSON
	Files     []File    // the executables, as the manifest lists them
	Bundles   [][]byte  // attached sigstore bundles, unverified
}

// SpecDigest returns sha256:<hex> of the spec's bytes.
func (d *Documents) SpecDigest() string { return digest.FromBytes(d.Spec).String() }

// Documents returns the documents of contents that are, or will be, stored as ref.
func (c Contents) Documents(ref Reference) *Documents {
	return &Documents{Reference: ref, Spec: c.Spec, Interface: c.Interface, Files: c.Files()}
}

// PullDocuments reads an artifact by digest, with its bundles and without its executables, and verifies the sizes and
// digests of what it reads.
func PullDocuments(ctx context.Context, store Store, ref Reference) (*Documents, error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	_, layers, err := fetchLayers(ctx, store, ref, nil, isDocument)
	if err != nil {
		return nil, err
	}
	d := &Documents{Reference: ref, Files: files(layers)}
	for _, layer := range layers {
		switch layer.descriptor.MediaType {
		case TypeSpec:
			d.Spec = layer.content
		case TypeInterface:
			d.Interface = layer.content
		}
	}
	if d.Spec == nil || d.Interface == nil || len(d.Files) == 0 {
		return nil, &LayoutError{What: ref.String(), Reason: "it has no spec, no interface document or no executable"}
	}
	d.Bundles, err = Bundles(ctx, store, ref)
	return d, err
}

// isDocument tells whether a layer is no executable.
func isDocument(d ocispec.Descriptor) bool {
	return d.MediaType == TypeSpec || d.MediaType == TypeInterface
}
