package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
)

func quote() Contents {
	return Contents{
		Function: "quote", Wasm: []byte("\x00asm\x01\x00\x00\x00"), Spec: []byte(`function "quote" {}`),
		Interface: []byte(`{"function":"quote","request":{"kind":"string"},"reply":{"kind":"string"},"calls":{}}`),
	}
}

func native() Contents {
	c := quote()
	c.Wasm, c.Native = nil, map[string][]byte{"linux/arm64": []byte("arm"), "linux/amd64": []byte("amd")}
	return c
}

// newStore returns an OCI layout in a directory of its own: what a registry is, without the network.
func newStore(t testing.TB) Store {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// pushed stores an artifact with bundles and returns its reference.
func pushed(t testing.TB, store Store, c Contents, bundles ...string) Reference {
	t.Helper()
	d, _, err := Push(context.Background(), store, c)
	if err != nil {
		t.Fatal(err)
	}
	ref := Reference{Registry: "registry.example", Repository: "shop/" + c.Function, Digest: d.Digest.String()}
	for _, bundle := range bundles {
		err := AttachBundle(context.Background(), store, ref, []byte(bundle), "https://slsa.dev/provenance/v1")
		if err != nil {
			t.Fatal(err)
		}
	}
	return ref
}

// altered answers for one digest with what edit makes of the bytes.
type altered struct {
	Store
	digest string
	edit   func([]byte) []byte
	fail   error
}

func (a altered) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	r, err := a.Store.Fetch(ctx, d)
	if err != nil || d.Digest.String() != a.digest {
		return r, err
	}
	if a.fail != nil {
		return nil, a.fail
	}
	defer r.Close()
	src, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(a.edit(src))), err
}

func TestReferences(t *testing.T) {
	sum := "sha256:" + strings.Repeat("a", 64)
	for _, good := range []string{"localhost:5000/shop/quote", "r.example/quote:v1", "r.example/quote@" + sum,
		"r.example/a/b/quote:v1@" + sum} {
		r, err := ParseReference(good)
		if err != nil || r.String() != good || r.Function() != "quote" {
			t.Errorf("%q: %+v, %v", good, r, err)
		}
	}
	for _, bad := range []string{"", "quote", "r.example/Quote", "r.example/quote@sha256:abc", "r.example/quote@",
		"r.example/quote:a b", "r.example/quote@sha512:" + strings.Repeat("a", 128),
		"r.example/../quote", "https://r.example/quote"} {
		if r, err := ParseReference(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

// TestManifestBytes pins the format: other implementations depend on it.
func TestManifestBytes(t *testing.T) {
	src, d, err := Manifest(native())
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(src, &m); err != nil {
		t.Fatal(err)
	}
	if m.ArtifactType != TypeFunction || m.Config.MediaType != "application/vnd.oci.empty.v1+json" ||
		m.Annotations != nil {
		t.Errorf("the manifest is %s", src)
	}
	var types []string
	for _, l := range m.Layers {
		types = append(types, l.MediaType+" "+l.Annotations["org.opencontainers.image.title"]+" "+l.Annotations["platform"])
	}
	want := TypeNative + " quote-linux-amd64 linux/amd64," + TypeNative + " quote-linux-arm64 linux/arm64," +
		TypeSpec + "  ," + TypeInterface + "  "
	if strings.Join(types, ",") != want {
		t.Errorf("the layers are %q", types)
	}
	again, _, _ := Manifest(native())
	if !bytes.Equal(src, again) || d.Digest != digest.FromBytes(src) || d.Size != int64(len(src)) {
		t.Error("the manifest is not a pure function of its contents")
	}
	_, wasm, err := Manifest(quote())
	const known = "sha256:0ec14c9172929ee086857cd669577cbbf2361d2c9ce96a350ba1f21a0048fe0e"
	if err != nil || wasm.Digest.String() != known {
		t.Errorf("the manifest of known contents has the digest %s, not %s: %v", wasm.Digest, known, err)
	}
}

func TestContentsThatAreNoFunction(t *testing.T) {
	for name, edit := range map[string]func(*Contents){
		"no name":        func(c *Contents) { c.Function = "" },
		"nothing to run": func(c *Contents) { c.Wasm = nil },
		"two runtimes":   func(c *Contents) { c.Native = native().Native },
		"no spec":        func(c *Contents) { c.Spec = nil },
		"no interface":   func(c *Contents) { c.Interface = nil },
		"large spec":     func(c *Contents) { c.Spec = make([]byte, MaxDocument+1) },
		"other platform": func(c *Contents) { c.Wasm, c.Native = nil, map[string][]byte{"plan9/386": []byte("x")} },
		"empty file":     func(c *Contents) { c.Wasm, c.Native = nil, map[string][]byte{"linux/amd64": nil} },
	} {
		c := quote()
		edit(&c)
		var layout *LayoutError
		if _, _, err := Push(context.Background(), newStore(t), c); !errors.As(err, &layout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPushAndPull(t *testing.T) {
	store := newStore(t)
	for name, c := range map[string]Contents{"wasm": quote(), "native": native()} {
		ref := pushed(t, store, c, `{"b":2}`, `{"b":1}`, `{"b":1}`)
		if _, again, err := Push(context.Background(), store, c); again || err != nil {
			t.Errorf("%s: pushed twice, %v", name, err)
		}
		l, err := Pull(context.Background(), store, ref)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(l.Wasm, c.Wasm) || len(l.Native) != len(c.Native) || !bytes.Equal(l.Spec, c.Spec) ||
			!bytes.Equal(l.Interface, c.Interface) || l.ManifestDigest != ref.Digest || len(l.Bundles) != 2 {
			t.Errorf("%s: pulled %+v", name, l)
		}
		if len(l.FileDigests()) != len(c.Files()) || l.SpecDigest() != digest.FromBytes(c.Spec).String() {
			t.Errorf("%s: digests %v", name, l.FileDigests())
		}
	}
}

func TestBundleManifest(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote(), `{"mediaType":"x"}`)
	subject, err := resolve(context.Background(), store, ref)
	if err != nil {
		t.Fatal(err)
	}
	referrers, err := store.Predecessors(context.Background(), subject)
	if err != nil || len(referrers) != 1 {
		t.Fatalf("%d referrers, %v", len(referrers), err)
	}
	src, err := fetch(context.Background(), store, "it", referrers[0])
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(src, &m); err != nil {
		t.Fatal(err)
	}
	if m.ArtifactType != TypeBundle || m.Subject.Digest.String() != ref.Digest || len(m.Layers) != 1 ||
		m.Layers[0].MediaType != TypeBundle || m.Annotations["dev.sigstore.bundle.content"] != "dsse-envelope" ||
		m.Annotations["dev.sigstore.bundle.predicateType"] != "https://slsa.dev/provenance/v1" {
		t.Errorf("the manifest is %s", src)
	}
}

func TestForeignReferrersArePassedOver(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote(), `{"good":1}`)
	subject, err := resolve(context.Background(), store, ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []func(*ocispec.Manifest){
		func(m *ocispec.Manifest) { m.Layers = nil },
		func(m *ocispec.Manifest) { m.Layers[0].MediaType = "text/plain" },
		func(m *ocispec.Manifest) { m.Layers[0].Size = MaxDocument + 1 },
		func(m *ocispec.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) },
		func(m *ocispec.Manifest) { m.ArtifactType = "text/plain" },
	} {
		manifest, parts, err := referrerManifest(subject, newBlob(TypeBundle, []byte(`{"foreign":1}`), nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(manifest.content, &m); err != nil {
			t.Fatal(err)
		}
		edit(&m)
		src, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range append(parts, newBlob(ocispec.MediaTypeImageManifest, src, nil)) {
			if _, err := pushMissing(context.Background(), store, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	bundles, err := Bundles(context.Background(), store, ref)
	if err != nil || len(bundles) != 1 || string(bundles[0]) != `{"good":1}` {
		t.Errorf("%q, %v", bundles, err)
	}
}

// TestAlteredBytes changes what a store answers, for each part of an artifact.
func TestAlteredBytes(t *testing.T) {
	store := newStore(t)
	c, bundle := quote(), `{"bundle":1}`
	ref := pushed(t, store, c, bundle)
	edits := map[string]func([]byte) []byte{
		"one bit":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"empty":     func([]byte) []byte { return nil },
	}
	parts := map[string]string{"manifest": ref.Digest, "module": digest.FromBytes(c.Wasm).String(), "spec": c.SpecDigest(),
		"interface": digest.FromBytes(c.Interface).String(), "bundle": digest.FromString(bundle).String()}
	for part, sum := range parts {
		for name, edit := range edits {
			var wrong *DigestError
			l, err := Pull(context.Background(), altered{Store: store, digest: sum, edit: edit}, ref)
			if !errors.As(err, &wrong) || !wrong.Unverified() {
				t.Errorf("%s of %s: %+v, %v", name, part, l, err)
			}
		}
	}
}

func TestPullNeedsADigest(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	for _, sum := range []string{"", "latest", "sha256:abc"} {
		if _, err := Pull(context.Background(), store, ref.WithDigest(sum)); err == nil {
			t.Errorf("pulled by %q", sum)
		}
	}
	unknown := ref.WithDigest("sha256:" + strings.Repeat("0", 64))
	if _, err := Pull(context.Background(), store, unknown); !errors.Is(err, ErrNotFound) {
		t.Errorf("pulled what is not there: %v", err)
	}
}

func TestForeignManifests(t *testing.T) {
	good, _, err := Manifest(quote())
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"not JSON":         "{",
		"another type":     strings.Replace(string(good), TypeFunction, "application/x", 1),
		"an unknown layer": strings.Replace(string(good), TypeSpec, "application/x", 1),
		"two specs":        strings.Replace(string(good), TypeInterface, TypeSpec, 1),
		"a huge spec":      strings.Replace(string(good), `"size":19`, `"size":99999999`, 1),
		"a negative size":  strings.Replace(string(good), `"size":19`, `"size":-1`, 1),
		"a path as digest": strings.Replace(string(good), quote().SpecDigest(), "sha256:../../etc/passwd", 1),
		"no platform":      strings.Replace(string(good), TypeWasm, TypeNative, 1),
	} {
		if src == string(good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		var layout *LayoutError
		if _, err := parseManifest("it", []byte(src)); !errors.As(err, &layout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	ref := Reference{Registry: "127.0.0.1:1", Repository: "shop/quote", Digest: "sha256:" + strings.Repeat("0", 64)}
	store, err := Open(ref, true)
	if err != nil {
		t.Fatal(err)
	}
	var unreachable *UnreachableError
	_, pullErr := Pull(context.Background(), store, ref)
	_, _, pushErr := Push(context.Background(), store, quote())
	attachErr := AttachBundle(context.Background(), store, ref, []byte("{}"), "x")
	for what, err := range map[string]error{"pull": pullErr, "push": pushErr, "attach": attachErr} {
		if !errors.As(err, &unreachable) || !unreachable.Unreachable() {
			t.Errorf("%s: %v", what, err)
		}
	}
	broken := altered{Store: newStore(t), digest: quote().SpecDigest(), fail: io.ErrUnexpectedEOF}
	ref = pushed(t, broken, quote())
	if _, err := Pull(context.Background(), broken, ref); !errors.As(err, &unreachable) {
		t.Errorf("a connection that broke: %v", err)
	}
}

func TestInterfaceDigest(t *testing.T) {
	want, err := InterfaceDigest(quote().Interface)
	if err != nil {
		t.Fatal(err)
	}
	if want != digest.FromString(`{"function":"quote","reply":{"kind":"string"},"request":{"kind":"string"}}`).String() {
		t.Errorf("the digest is %s", want)
	}
	spaced := `{ "calls": {"tax":{"reply":{"kind":"any"},"request":{"kind":"any"}}}, "reply":{"kind": "string"},
	"request":{"kind":"string"}, "function":"quote" }`
	if got, err := InterfaceDigest([]byte(spaced)); err != nil || got != want {
		t.Errorf("another order and other calls: %s, %v", got, err)
	}
	for _, bad := range []string{"", "[]", `{"function":"quote","request":1}`} {
		if _, err := InterfaceDigest([]byte(bad)); err == nil {
			t.Errorf("%q has a digest", bad)
		}
	}
}

func FuzzManifest(f *testing.F) {
	for _, c := range []Contents{quote(), native()} {
		src, _, err := Manifest(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		layers, err := parseManifest("it", src)
		var layout *LayoutError
		if err != nil && !errors.As(err, &layout) {
			t.Errorf("%T: %v", err, err)
		}
		for _, l := range layers {
			if l.Size < 1 || l.Size > MaxFile || checkDigest(l.Digest.String()) != nil {
				t.Errorf("accepted the layer %+v", l)
			}
		}
	})
}
