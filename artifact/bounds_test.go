package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// hostile is a registry that answers as it likes. It counts what it is asked and sends.
type hostile struct {
	*httptest.Server
	requests, sent atomic.Int64
	contents       map[string][]byte // by digest: manifests and blobs
	manifest       string            // digest of the artifact
	referrers      func(w http.ResponseWriter, r *http.Request)
	blob           func(w http.ResponseWriter, r *http.Request, content []byte)
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{contents: map[string][]byte{}}
	m, parts, err := quote().pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range append(parts, m) {
		h.contents[b.descriptor.Digest.String()] = b.content
	}
	h.manifest = m.descriptor.Digest.String()
	h.referrers = func(w http.ResponseWriter, _ *http.Request) { h.page(w, "", nil) }
	h.blob = func(w http.ResponseWriter, _ *http.Request, content []byte) { w.Write(content) }
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		what := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		content, ok := h.contents[what]
		switch {
		case strings.Contains(r.URL.Path, "/referrers/"):
			h.referrers(w, r)
		case !ok:
			http.NotFound(w, r)
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Header().Set("Docker-Content-Digest", what)
			w.Write(content)
		default:
			h.blob(w, r, content)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// page answers with a list of referrers, after which another follows if next is set.
func (h *hostile) page(w http.ResponseWriter, next string, list []ocispec.Descriptor) {
	if next != "" {
		w.Header().Set("Link", "<"+next+">; rel=\"next\"")
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	src, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": list})
	if err != nil {
		panic(err)
	}
	h.sent.Add(int64(len(src)))
	w.Write(src)
}

func (h *hostile) ref(t *testing.T) Reference {
	t.Helper()
	ref, err := ParseReference(h.Listener.Addr().String() + "/functions/quote@" + h.manifest)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (h *hostile) registries(more ...string) Registries {
	return Registries{Allow: append(more, h.Listener.Addr().String()), PlainHTTP: true}
}

func (h *hostile) pull(t *testing.T, r Registries) error {
	t.Helper()
	store, err := r.Open(h.ref(t))
	if err != nil {
		return err
	}
	_, err = Pull(t.Context(), store, h.ref(t))
	return err
}

func junk(n int) (list []ocispec.Descriptor) {
	for i := range n {
		list = append(list, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: TypeBundle, Size: 2,
			Digest: digest.FromString(strconv.Itoa(i))})
	}
	return list
}

// TestRegistryThatDoesNotEnd has registries that answer for ever, each in another way. Without the bounds these tests
// go on until the test's own time is over.
func TestRegistryThatDoesNotEnd(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(h *hostile)
		want string
	}{
		"pages of nothing": {func(h *hostile) {
			h.referrers = func(w http.ResponseWriter, r *http.Request) {
				h.page(w, r.URL.Path+"?n="+fmt.Sprint(h.requests.Load()), nil)
			}
		}, "pages"},
		"pages of attestations": {func(h *hostile) {
			h.referrers = func(w http.ResponseWriter, r *http.Request) { h.page(w, r.URL.Path, junk(400)) }
		}, "more than 1024 attestations"},
		"pages of something else": {func(h *hostile) {
			h.referrers = func(w http.ResponseWriter, r *http.Request) {
				list := junk(400)
				for i := range list {
					list[i].ArtifactType = "text/plain"
				}
				h.page(w, r.URL.Path, list)
			}
		}, "pages"},
		"a long page": {func(h *hostile) {
			list := junk(20000)
			h.referrers = func(w http.ResponseWriter, _ *http.Request) { h.page(w, "", list) }
		}, "more than 262144 bytes"},
		"a page without an end": {func(h *hostile) {
			h.referrers = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				fmt.Fprint(w, `{"manifests":[`)
				for {
					n, err := fmt.Fprint(w, strings.Repeat("{},", 10000))
					if h.sent.Add(int64(n)); err != nil {
						return
					}
				}
			}
		}, "more than 262144 bytes"},
		"a page of white space": {func(h *hostile) {
			h.referrers = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				for {
					n, err := fmt.Fprint(w, strings.Repeat(" ", 30000))
					if h.sent.Add(int64(n)); err != nil {
						return
					}
				}
			}
		}, "more than 262144 bytes"},
		"redirects": {func(h *hostile) {
			h.blob = func(w http.ResponseWriter, r *http.Request, _ []byte) {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
			}
		}, "redirect"},
		"a blob without an end": {func(h *hostile) {
			h.blob = func(w http.ResponseWriter, _ *http.Request, content []byte) {
				for {
					n, err := w.Write(make([]byte, 30000))
					if h.sent.Add(int64(n)); err != nil {
						return
					}
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			test.edit(h)
			err := h.pull(t, h.registries())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v; want an error with %q", err, test.want)
			}
			var limit *LimitError
			if strings.HasPrefix(test.want, "more") && (!errors.As(err, &limit) || !limit.Unverified() || limit.Unreachable()) {
				t.Errorf("%v is not a *LimitError that refuses", err)
			}
			if n := h.requests.Load(); n > 40 {
				t.Errorf("it was asked %d times", n)
			}
			if n := h.sent.Load(); n > 24<<20 { // what is in the buffers of the connection counts, too
				t.Errorf("it sent %d bytes", n)
			}
		})
	}
}

// TestBudgetOfBundles has many large attestations: each is within its bound, all together are not.
func TestBudgetOfBundles(t *testing.T) {
	h := newHostile(t)
	h.referrers = func(w http.ResponseWriter, _ *http.Request) {
		var list []ocispec.Descriptor
		for digest, content := range h.contents {
			var m ocispec.Manifest
			if json.Unmarshal(content, &m) == nil && m.ArtifactType == TypeBundle {
				list = append(list, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: TypeBundle,
					Size: int64(len(content)), Digest: ocispecDigest(digest)})
			}
		}
		h.page(w, "", list)
	}
	h.blob = func(w http.ResponseWriter, _ *http.Request, content []byte) {
		h.sent.Add(int64(len(content)))
		w.Write(content)
	}
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: ocispecDigest(h.manifest), Size: int64(len(h.contents[h.manifest]))}
	for i := range maxBundles {
		bundle := []byte(fmt.Sprintf("{%d%s}", i, strings.Repeat(" ", MaxDocument-10)))
		m, parts, err := referrerManifest(subject, newBlob(TypeBundle, bundle, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range append(parts, m) {
			h.contents[b.descriptor.Digest.String()] = b.content
		}
	}
	var limit *LimitError
	if err := h.pull(t, h.registries()); !errors.As(err, &limit) || limit.Slow {
		t.Errorf("got %v; want a *LimitError", err)
	}
	if n := h.sent.Load(); n > maxBeside+4<<20 {
		t.Errorf("%d bytes of attestations were read", n)
	}
}

func ocispecDigest(s string) digest.Digest { return digest.Digest(s) }

// TestSlowRegistry has registries that begin to answer, or not even that, and stand still.
func TestSlowRegistry(t *testing.T) {
	for name, begin := range map[string]bool{"silent": false, "half an answer": true} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begin {
					w.Header().Set("Content-Length", "10")
					fmt.Fprint(w, "half")
					w.(http.Flusher).Flush()
				}
				select {
				case <-r.Context().Done():
				case <-over:
				}
			}))
			defer s.Close()
			defer close(over)
			ctx, _, cancel := bounded(t.Context())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := meter{http.DefaultTransport, 50 * time.Millisecond}.RoundTrip(r)
			if begin && err == nil {
				_, err = readVerified(response.Body, ocispec.Descriptor{Size: 10, Digest: digest.FromString("x")})
				response.Body.Close()
			}
			var limit *LimitError
			if !errors.As(err, &limit) || !limit.Unreachable() || limit.Unverified() {
				t.Errorf("got %v; want a *LimitError about time", err)
			}
		})
	}
	ctx, _, cancel := bounded(t.Context())
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) > maxPull {
		t.Errorf("the deadline of a pull is %v", deadline)
	}
	within, _, _ := bounded(ctx)
	if within != ctx {
		t.Error("a reading within a reading has bounds of its own")
	}
	cancel()
}

func TestBudgetOfRequests(t *testing.T) {
	h := newHostile(t)
	ctx, _, cancel := bounded(t.Context())
	defer cancel()
	for n := 0; ; n++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (meter{http.DefaultTransport, maxSilence}).RoundTrip(r)
		var limit *LimitError
		if errors.As(err, &limit) && n == maxRequests {
			return
		}
		if err != nil || n >= maxRequests {
			t.Fatalf("request %d: %v", n, err)
		}
		response.Body.Close()
	}
}

// TestRegistriesThatAreNotAllowed has references and answers that lead elsewhere.
func TestRegistriesThatAreNotAllowed(t *testing.T) {
	h, other := newHostile(t), newHostile(t)
	must := func(what string, err error, want bool) {
		t.Helper()
		var elsewhere *NotAllowedError
		if errors.As(err, &elsewhere) == want || !want && (err == nil || !elsewhere.Unverified()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("none", h.pull(t, Registries{PlainHTTP: true}), false)
	must("another", h.pull(t, other.registries()), false)
	must("another path", h.pull(t, Registries{Allow: []string{h.Listener.Addr().String() + "/function"}, PlainHTTP: true}), false)
	must("the repository itself", h.pull(t, Registries{Allow: []string{h.Listener.Addr().String() + "/functions/quote"}, PlainHTTP: true}), false)
	must("another port", h.pull(t, Registries{Allow: []string{"127.0.0.1"}, PlainHTTP: true}), false)
	if n := h.requests.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	for _, r := range []Registries{h.registries(), {Allow: []string{"x.example", h.Listener.Addr().String() + "/functions"}, PlainHTTP: true}} {
		if err := h.pull(t, r); err != nil {
			t.Errorf("%v: %v", r.Allow, err)
		}
	}
	h.blob = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}
	must("a redirect", h.pull(t, h.registries()), false)
	if n := other.requests.Load(); n != 0 {
		t.Errorf("where it was redirected to was asked %d times", n)
	}
	if err := h.pull(t, h.registries(other.Listener.Addr().String())); err != nil {
		t.Errorf("a redirect to a registry that is allowed: %v", err)
	}
	h.blob = func(w http.ResponseWriter, _ *http.Request, content []byte) { w.Write(content) }
	before := other.requests.Load()
	h.referrers = func(w http.ResponseWriter, r *http.Request) { h.page(w, other.URL+r.URL.Path, nil) }
	if err := h.pull(t, h.registries()); err == nil { // the library itself does not follow it
		t.Error("a next page elsewhere")
	}
	h.referrers = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+other.URL+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	must("a login", h.pull(t, h.registries()), false)
	if n := other.requests.Load() - before; n != 0 {
		t.Errorf("where it was led to was asked %d times", n)
	}
}

func TestNoWayBackToPlainHTTP(t *testing.T) {
	for _, hosts := range []map[string]bool{nil, {"127.0.0.1:80": true, "127.0.0.1:443": true}} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://127.0.0.1/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		var elsewhere *NotAllowedError
		if _, err := (fence{http.DefaultTransport, hosts, false}).RoundTrip(r); !errors.As(err, &elsewhere) {
			t.Errorf("%v", err)
		}
	}
}

func TestRegistryNames(t *testing.T) {
	for _, good := range []string{"registry.example", "registry.example:5000", "Registry.example/shop", "r.example/a/b-c_d", "[::1]:5000", "localhost"} {
		if err := (Registries{Allow: []string{good}}).Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "*", "*.example", "https://r.example", "r.example/", "r.example//a", "r.example/..", "r.example/A", "r.example:x",
		"user@r.example", "r.example/a?b", " r.example", "r.example\n"} {
		if err := (Registries{Allow: []string{bad}}).Check(); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	r := Registries{Allow: []string{"R.example", "q.example:5000/shop"}}
	for ref, want := range map[Reference]bool{
		{Registry: "r.example", Repository: "a"}:               true,
		{Registry: "r.example:443", Repository: "a"}:           true,
		{Registry: "r.example:80", Repository: "a"}:            false,
		{Registry: "r.example.evil", Repository: "a"}:          false,
		{Registry: "q.example:5000", Repository: "shop/a"}:     true,
		{Registry: "q.example:5000", Repository: "shopping/a"}: false,
		{Registry: "q.example:5000", Repository: "shop"}:       false,
		{Registry: "q.example:5000", Repository: "other/shop"}: false,
		{Registry: "q.example", Repository: "shop/a"}:          false,
	} {
		if r.permits(ref) != want {
			t.Errorf("%v: permitted is %v", ref, !want)
		}
	}
}

// TestLogins has files with logins: of Docker's environment variable nothing is read, and no program is run.
func TestLogins(t *testing.T) {
	h := newHostile(t)
	var got atomic.Value
	h.referrers = func(w http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); ok {
			got.Store(user)
			h.page(w, "", nil)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	ran := filepath.Join(dir, "ran")
	program := "#!/bin/sh\n: > " + ran + "\necho '{\"Username\":\"helper\",\"Secret\":\"x\"}'\n"
	files := map[string]string{
		"docker-credential-x": program,
		"config.json":         `{"credsStore":"x"}`,
		"logins.json":         fmt.Sprintf(`{"credsStore":"x","credHelpers":{%q:"x"},"auths":{%q:{"auth":"YW5uOnB3"}}}`, h.Listener.Addr(), h.Listener.Addr()),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "docker-credential-x"), 0o700); err != nil {
		t.Fatal(err)
	}
	var denied *DeniedError
	if err := h.pull(t, h.registries()); !errors.As(err, &denied) {
		t.Errorf("without a login: %v", err)
	}
	r := h.registries()
	r.Logins = filepath.Join(dir, "logins.json")
	if err := h.pull(t, r); err != nil || got.Load() != "ann" {
		t.Errorf("with a login: %v, as %v", err, got.Load())
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program was run")
	}
	if err := os.Chmod(r.Logins, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := h.pull(t, r); err == nil || !strings.Contains(err.Error(), "mode 0640") {
		t.Errorf("a file that others may read: %v", err)
	}
	r.Logins = filepath.Join(dir, "absent.json")
	if err := h.pull(t, r); err == nil {
		t.Error("a file that is not there")
	}
}
