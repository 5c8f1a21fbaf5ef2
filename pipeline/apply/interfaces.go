package apply

import (
	"context"
	"fmt"

	"countersign/interfaces"
	"countersign/pipeline/registry"
	"countersign/release"
)

// Documents returns what reads the interface documents of functions: of those that are not published yet from memory, of
// all others from the registry, where they are attested. Each is read once.
func (e *Engine) Documents(ctx context.Context) release.Interfaces {
	type read struct {
		document *interfaces.Document
		err      error
	}
	known := map[string]read{}
	return func(name string, f release.Function) (*interfaces.Document, error) {
		key := name + "@" + f.ArtifactDigest
		k, ok := known[key]
		if !ok {
			k.document, k.err = e.document(ctx, name, f)
			known[key] = k
		}
		return k.document, k.err
	}
}

func (e *Engine) document(ctx context.Context, name string, f release.Function) (*interfaces.Document, error) {
	if e.Described != nil {
		if document := e.Described(f); document != nil {
			return document, nil
		}
	}
	from := e.Published
	if from == nil {
		from = e.Artifacts
	}
	if f.Artifact == "" { // what runs does not tell where it came from
		ref := registry.Reference(e.Environment.Registry, name)
		f.Artifact = ref.Registry + "/" + ref.Repository
	}
	documents, attestation, err := from.Read(ctx, f)
	if err != nil {
		return nil, err
	}
	if attestation == nil {
		return nil, fmt.Errorf("%s was read without an attestation", f.Reference())
	}
	document, err := interfaces.Parse(documents.Interface)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", documents.Reference, err)
	}
	if document.Function != name {
		return nil, &RecordError{Function: name, What: fmt.Sprintf("it is function %q", document.Function)}
	}
	return document, nil
}
