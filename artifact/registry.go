package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"countersign/patience"
)

// Store is one repository of artifacts: in a registry, in a directory (oras.land/oras-go/v2/content/oci) or in memory.
type Store = oras.GraphTarget

// Open returns the store of a reference's repository. plainHTTP is for registries on loopback. Credentials are those
// of `docker login`: in $DOCKER_CONFIG, or below the user's home directory; a process that has neither, as a service
// may, goes without. Nothing is asked over the network yet.
//
// It is for whoever deploys, with his own logins and little patience; a node uses Registries.
func Open(ref Reference, plainHTTP bool) (Store, error) {
	var login auth.CredentialFunc
	if _, err := os.UserHomeDir(); err == nil || os.Getenv("DOCKER_CONFIG") != "" {
		logins, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading the registry logins of Docker's config.json: %w", err)
		}
		login = credentials.Credential(logins)
	}
	patient := &patience.Transport{Base: transport, Server: "registry at " + ref.Registry}
	return open(ref, patient, plainHTTP, login, nil)
}

// transport is shared, and with it its connections.
var transport = func() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = maxHeader
	t.DisableCompression = true // what is counted is what was sent
	return meter{t, maxSilence}
}()

// open returns a store whose requests go to some hosts only; nil is any.
func open(ref Reference, base http.RoundTripper, plainHTTP bool, login auth.CredentialFunc, hosts map[string]bool) (
	Store, error) {
	repository, err := remote.NewRepository(ref.Registry + "/" + ref.Repository)
	if err != nil {
		return nil, fmt.Errorf("opening the repository of %s: %w", ref, err)
	}
	client := &auth.Client{Client: &http.Client{Transport: retry.NewTransport(fence{base, hosts, plainHTTP})},
		Cache: auth.NewCache(), Credential: login}
	client.SetUserAgent("countersign")
	repository.Client, repository.PlainHTTP = client, plainHTTP
	repository.MaxMetadataBytes = 2 * maxIndex // the transport stops earlier, and says why
	repository.ReferrerListMaxPages = maxPages
	// Many registries do not let clients delete; an old list of referrers does no harm.
	repository.SkipReferrersGC = true
	return repository, nil
}

// Resolve returns the reference pinned to the digest that its tag has now.
func Resolve(ctx context.Context, store Store, ref Reference) (Reference, error) {
	if ref.Digest != "" {
		return ref, nil
	}
	if ref.Tag == "" {
		return Reference{}, fmt.Errorf("resolving %s: it has neither a tag nor a digest", ref)
	}
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	d, err := store.Resolve(ctx, ref.Tag)
	if err != nil {
		return Reference{}, classify("resolving "+ref.String(), err)
	}
	return ref.WithDigest(d.Digest.String()), nil
}

// Push stores an artifact, sending only what the store lacks, and returns its manifest's descriptor. pushed tells
// whether the manifest was new. It comes last: what was interrupted is no artifact yet, and the next push goes on.
func Push(ctx context.Context, store Store, c Contents) (manifest ocispec.Descriptor, pushed bool, err error) {
	m, parts, err := c.pack()
	if err != nil {
		return ocispec.Descriptor{}, false, err
	}
	op := fmt.Sprintf("pushing the artifact of function %q", c.Function)
	for _, part := range parts {
		if _, err := pushMissing(ctx, store, part); err != nil {
			return ocispec.Descriptor{}, false, classify(op, err)
		}
	}
	if pushed, err = pushMissing(ctx, store, m); err != nil {
		return ocispec.Descriptor{}, false, classify(op, err)
	}
	return m.descriptor, pushed, nil
}

// pushMissing sends a blob or a manifest if the store lacks it.
func pushMissing(ctx context.Context, store Store, b blob) (pushed bool, err error) {
	exists, err := store.Exists(ctx, b.descriptor)
	if err != nil || exists {
		return false, err
	}
	err = store.Push(ctx, b.descriptor, bytes.NewReader(b.content))
	if errors.Is(err, errdef.ErrAlreadyExists) { // somebody else was first
		return false, nil
	}
	return err == nil, err
}

// Pull reads an artifact by digest, with its bundles, and verifies every size and digest.
func Pull(ctx context.Context, store Store, ref Reference) (*Loaded, error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	l := &Loaded{Reference: ref, ManifestDigest: ref.Digest}
	l.Function = ref.Function()
	_, layers, err := fetchLayers(ctx, store, ref, nil, all)
	if err != nil {
		return nil, err
	}
	if err := l.assemble(layers); err != nil {
		return nil, err
	}
	l.Bundles, err = Bundles(ctx, store, ref)
	return l, err
}

// all wants every layer.
func all(ocispec.Descriptor) bool { return true }

// fetchLayers reads a manifest and those of its layers that are wanted. The others have no content. near may be nil, and is asked
// first.
func fetchLayers(ctx context.Context, store Store, ref Reference, near *nearby, wanted func(ocispec.Descriptor) bool) (
	manifest []byte, layers []blob, err error) {
	ctx, b, cancel := bounded(ctx)
	defer cancel()
	manifest, err = fetchManifest(ctx, store, ref)
	if err != nil {
		return nil, nil, err
	}
	descriptors, err := parseOwn(ref, manifest)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range descriptors {
		if !wanted(d) {
			layers = append(layers, blob{descriptor: d})
			continue
		}
		if near != nil {
			if content := near.executable(ctx, d); content != nil {
				layers = append(layers, blob{d, content})
				continue
			}
		}
		b.bytes.Add(d.Size)
		content, err := fetch(ctx, store, "the "+d.MediaType+" of "+ref.String(), d)
		if err != nil {
			return nil, nil, err
		}
		layers = append(layers, blob{d, content})
	}
	return manifest, layers, nil
}

// fetchManifest reads a manifest by the digest of a reference. Its size is not part of a reference, so it is asked for.
func fetchManifest(ctx context.Context, store Store, ref Reference) ([]byte, error) {
	d, err := resolve(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	return fetch(ctx, store, "the manifest of "+ref.String(), d)
}

// resolve returns the descriptor of a reference's manifest.
func resolve(ctx context.Context, store Store, ref Reference) (ocispec.Descriptor, error) {
	if err := checkDigest(ref.Digest); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("reading %s: only a digest names one artifact for ever: %w", ref, err)
	}
	d, err := store.Resolve(ctx, ref.Digest)
	if err != nil {
		return ocispec.Descriptor{}, classify("looking for "+ref.String(), err)
	}
	switch {
	case d.Digest.String() != ref.Digest:
		return ocispec.Descriptor{}, &DigestError{"the manifest of " + ref.String(), ref.Digest,
			fmt.Errorf("the registry answers with %s", d.Digest)}
	case d.MediaType != ocispec.MediaTypeImageManifest:
		return ocispec.Descriptor{}, &LayoutError{ref.String(), fmt.Sprintf("it is of type %.80q", d.MediaType)}
	case d.Size > maxManifest:
		return ocispec.Descriptor{}, &LayoutError{ref.String(), fmt.Sprintf("its manifest has %d bytes", d.Size)}
	}
	return d, nil
}

// fetch reads what a descriptor names and nothing else. The caller has checked that the size is bearable.
func fetch(ctx context.Context, store Store, what string, d ocispec.Descriptor) ([]byte, error) {
	r, err := store.Fetch(ctx, d)
	if err != nil {
		var unreachable *UnreachableError
		var denied *DeniedError
		err = classify("reading "+what, err)
		if errors.Is(err, ErrNotFound) || errors.Is(err, context.Canceled) || errors.As(err, &unreachable) ||
			errors.As(err, &denied) || isRefusal(err) {
			return nil, err
		}
		// The store has something under this digest that is not what the descriptor says, such as another length.
		return nil, &DigestError{What: what, Want: d.Digest.String(), Err: err}
	}
	defer r.Close()
	content, err := readVerified(r, d)
	var mismatch *mismatchError
	switch {
	case errors.As(err, &mismatch):
		return nil, &DigestError{What: what, Want: d.Digest.String(), Err: err}
	case errors.Is(err, context.Canceled) || isRefusal(err):
		return nil, fmt.Errorf("reading %s: %w", what, err)
	case err != nil && boundOf(ctx, err) != nil:
		return nil, fmt.Errorf("reading %s: %w", what, boundOf(ctx, err))
	case err != nil:
		return nil, &UnreachableError{Op: "reading " + what, Err: err}
	}
	return content, nil
}

// mismatchError is a difference between bytes and their descriptor, as opposed to a failure to read them.
type mismatchError struct{ reason string }

func (e *mismatchError) Error() string { return e.reason }

// readVerified reads exactly the bytes of a descriptor. It never holds more than one byte beyond the stated size.
func readVerified(r io.Reader, d ocispec.Descriptor) ([]byte, error) {
	content := make([]byte, 0, d.Size)
	buffer := bytes.NewBuffer(content)
	n, err := io.Copy(buffer, io.LimitReader(r, d.Size+1))
	switch {
	case err != nil:
		return nil, err
	case n > d.Size:
		return nil, &mismatchError{fmt.Sprintf("there are more than %d bytes", d.Size)}
	case n < d.Size:
		return nil, &mismatchError{fmt.Sprintf("there are %d of %d bytes", n, d.Size)}
	}
	if got := d.Digest.Algorithm().FromBytes(buffer.Bytes()); got != d.Digest {
		return nil, &mismatchError{fmt.Sprintf("the bytes have the digest %s", got)}
	}
	return buffer.Bytes(), nil
}

// isNetwork tells whether an error comes from the way to a server.
func isNetwork(err error) bool {
	var urlError *url.Error
	var netError net.Error
	return errors.As(err, &urlError) || errors.As(err, &netError) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.ErrUnexpectedEOF)
}
