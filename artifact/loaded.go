package artifact

// Loaded is an artifact whose every byte was checked against the digest of its manifest. Bundles are not: what they
// state is for package attest to verify.
type Loaded struct {
	Reference      Reference // as asked for, with the digest
	ManifestDigest string    // sha256:<hex>
	Contents
	Bundles  [][]byte // attached sigstore bundles, unverified
	Cached   bool     // the bundles came from the node's cache: the registry may have newer ones
	Transfer Transfer // how the executables came here; zero if they were in the cache under this digest
	NotKept  error    // why the node's cache could not keep it, or nil: for the log, since the artifact itself is fine
}

// FileDigests lists sha256:<hex> of every executable file.
func (l *Loaded) FileDigests() []string {
	var digests []string
	for _, f := range l.Files() {
		digests = append(digests, f.Digest)
	}
	return digests
}

// InterfaceDigest returns sha256:<hex> of the part of the interface document that callers see.
func (c Contents) InterfaceDigest() (string, error) { return InterfaceDigest(c.Interface) }

// assemble puts verified layers in their places.
func (l *Loaded) assemble(layers []blob) error {
	for _, layer := range layers {
		switch layer.descriptor.MediaType {
		case TypeWasm:
			l.Wasm = layer.content
		case TypeNative:
			if l.Native == nil {
				l.Native = map[string][]byte{}
			}
			l.Native[layer.descriptor.Annotations[AnnotationPlatform]] = layer.content
		case TypeSpec:
			l.Spec = layer.content
		case TypeInterface:
			l.Interface = layer.content
		}
	}
	if err := l.check(); err != nil {
		return &LayoutError{What: l.Reference.String(), Reason: err.Error()}
	}
	return nil
}
