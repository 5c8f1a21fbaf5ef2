package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"countersign/strictjson"
)

// Loaded is an artifact whose every byte was checked against the digest of its manifest. Bundles are not: what they
// state is for package attest to verify.
type Loaded struct {
	Reference      Reference // as asked for, with the digest
	ManifestDigest string    // sha256:<hex>
	Contents
	Bundles [][]byte // attached sigstore bundles, unverified
	Cached  bool     // the bundles came from the node's cache: the registry may have newer ones
	NotKept error    // why the node's cache could not keep it, or nil: for the log, since the artifact itself is fine
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

// InterfaceDigest returns sha256:<hex> of the part of an interface document that callers see: its members function,
// reply and request, in this order (the SDK's, whose keys are sorted) and without insignificant white space. What the
// function itself calls does not count.
func InterfaceDigest(document []byte) (string, error) {
	var doc struct {
		Function json.RawMessage `json:"function"`
		Request  json.RawMessage `json:"request"`
		Reply    json.RawMessage `json:"reply"`
	}
	if err := strictjson.DecodeOpen(document, &doc); err != nil {
		return "", fmt.Errorf("reading an interface document: %w", err)
	}
	if doc.Function == nil || doc.Request == nil || doc.Reply == nil {
		return "", errors.New("reading an interface document: function, request or reply is missing")
	}
	var visible, canonical bytes.Buffer
	fmt.Fprintf(&visible, `{"function":%s,"reply":%s,"request":%s}`, doc.Function, doc.Reply, doc.Request)
	if err := json.Compact(&canonical, visible.Bytes()); err != nil {
		return "", fmt.Errorf("reading an interface document: %w", err)
	}
	return digest.FromBytes(canonical.Bytes()).String(), nil
}

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
