package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/tests/nobody"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const trustDomain = "test.example"

// world is an authority and what it certifies.
type world struct {
	*identitytest.Authority
	t *testing.T
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{identitytest.NewAuthority(t, trustDomain, time.Now()), t}
}

// certify makes a key and its certificate, valid until a time.
func (w *world) certify(id string, until time.Time) (ed25519.PrivateKey, *identity.Identity) {
	w.t.Helper()
	parsed, err := identity.ParseID("spiffe://" + trustDomain + "/" + id)
	must(w.t, err)
	return w.Certify(w.t, parsed, time.Now().Add(-time.Hour), until)
}

func (w *world) identity(id string) *identity.Identity {
	_, self := w.certify(id, time.Now().Add(time.Hour))
	return self
}

// node answers calls as function quote does, over TLS with the certificate of shows unless that is nil.
func (w *world) node(shows *identity.Identity, seen func(*http.Request)) *httptest.Server {
	w.t.Helper()
	trust := func() *identity.Bundle { return w.Bundle }
	verifier := &callsig.Verifier{Trust: trust, Replay: callsig.ResumeReplayCache(0, time.Now(), nil)}
	quote := w.identity("function/quote")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen(r)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		call, err := verifier.VerifyRequest(r, body, quote.ID())
		if err != nil {
			w.t.Error(err)
			return
		}
		if _, err := callsig.SignResponse(rw.Header(), callsig.NewSigner(quote), call, callsig.Return{Status: 200, Body: body}, time.Now()); err != nil {
			w.t.Error(err)
		}
		rw.Write(body)
	}))
	if shows != nil {
		server.EnableHTTP2 = true
		server.TLS = identity.TLSConfig(trust, nil)
		server.TLS.Certificates = []tls.Certificate{*shows.TLSCertificate()}
		server.StartTLS()
	} else {
		server.Start()
	}
	w.t.Cleanup(server.Close)
	return server
}

// client calls at nodes.
func (w *world) client(nodes ...string) *Client {
	c := &Client{Identity: w.identity("client/ann"), Trust: w.Bundle,
		Nodes: func(context.Context, string) ([]string, error) { return nodes, nil }}
	w.t.Cleanup(c.Close)
	return c
}

func TestCallsUseTLS(t *testing.T) {
	w := newWorld(t)
	var got *http.Request
	see := func(r *http.Request) { got = r }
	node := w.node(w.identity("function/quote"), see)
	address := node.Listener.Addr().String()
	c := w.client(address)
	answer, err := c.Call(t.Context(), "quote", []byte(`{"a":1}`))
	must(t, err)
	if string(answer.Body) != `{"a":1}` || got.TLS == nil || got.ProtoMajor != 2 || got.TLS.ServerName != "quote" {
		t.Errorf("answer %s by %s over TLS %v", answer.Body, got.Proto, got.TLS != nil)
	}
	if answer.Call.Call.Authority != address || !strings.Contains(got.Header.Get("Signature-Input"), `"@authority"`) {
		t.Errorf("the call is for %q; it covers %s", answer.Call.Call.Authority, got.Header.Get("Signature-Input"))
	}
	plain := w.node(nil, see)
	c = w.client(plain.Listener.Addr().String())
	c.Plain = true
	answer, err = c.Call(t.Context(), "quote", []byte(`{}`))
	must(t, err)
	if string(answer.Body) != `{}` || got.TLS != nil {
		t.Errorf("answer %s over TLS %v", answer.Body, got.TLS != nil)
	}
}

// TestNodeOfAnotherFunction has a node with the certificate of a function that is not called: whoever holds that one would
// read calls and returns.
func TestNodeOfAnotherFunction(t *testing.T) {
	w := newWorld(t)
	node := w.node(w.identity("function/other"), func(*http.Request) { t.Error("the node was called") })
	address := node.Listener.Addr().String()
	_, err := w.client(address).Call(t.Context(), "quote", []byte(`{}`))
	var refused *identity.CertificateError
	if !errors.As(err, &refused) || refused.Reason != identity.ReasonWrongID || !strings.Contains(err.Error(), "-any-node") {
		t.Errorf("error %v; want a refusal that tells of -any-node", err)
	}
	good := w.node(w.identity("function/quote"), func(*http.Request) {})
	if _, err := w.client(address, good.Listener.Addr().String()).Call(t.Context(), "quote", []byte(`{}`)); err != nil {
		t.Errorf("another node: %v", err)
	}
	// Nor is a connection used that was made for a call of the other function.
	c := w.client(address)
	if _, err := c.transport(w.identity("function/other").ID()).DialTLSContext(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(t.Context(), "quote", []byte(`{}`)); !errors.As(err, &refused) {
		t.Errorf("error %v; want a refusal", err)
	}
	var got *http.Request
	passing := w.node(w.identity("function/other"), func(r *http.Request) { got = r })
	c = w.client(passing.Listener.Addr().String())
	c.AnyNode = true
	if _, err := c.Call(t.Context(), "quote", []byte(`{}`)); err != nil || got.TLS.ServerName != "" {
		t.Errorf("any node: %v", err)
	}
}

// TestPlainHTTPIsNotFallenBackTo has a node without TLS, and a client that was not told to do without.
func TestPlainHTTPIsNotFallenBackTo(t *testing.T) {
	w := newWorld(t)
	node := w.node(nil, func(*http.Request) { t.Error("the node was called") })
	_, err := w.client(node.Listener.Addr().String()).Call(t.Context(), "quote", []byte(`{}`))
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "-plain") {
		t.Errorf("error %v", err)
	}
}

// TestNodesWithWrongCertificates has nodes that show what is no function's: a refusal, not a node to pass over.
func TestNodesWithWrongCertificates(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t)
	good := w.node(w.identity("function/quote"), func(*http.Request) { t.Error("another node was called") })
	_, expired := w.certify("function/quote", time.Now().Add(-time.Minute))
	for name, shows := range map[string]*identity.Identity{
		"a client's": w.identity("client/eve"), "a stranger's": stranger.identity("function/quote"), "expired": expired,
	} {
		node := w.node(shows, func(*http.Request) { t.Errorf("%s: the node was called", name) })
		c := w.client(node.Listener.Addr().String(), good.Listener.Addr().String())
		_, err := c.Call(t.Context(), "quote", []byte(`{}`))
		var refused *identity.CertificateError
		if !errors.As(err, &refused) || !refused.Unverified() {
			t.Errorf("%s: error %v; want a refusal", name, err)
		}
	}
}

// TestOnlyUnreachedNodesArePassedOver has a node that breaks off, and one that nobody is at, before a good one.
func TestOnlyUnreachedNodesArePassedOver(t *testing.T) {
	w := newWorld(t)
	calls := 0
	good := w.node(w.identity("function/quote"), func(*http.Request) { calls++ })
	_, err := w.client(nobody.Listens(t), good.Listener.Addr().String()).Call(t.Context(), "quote", []byte(`{}`))
	must(t, err)
	breaking := w.node(w.identity("function/quote"), func(*http.Request) { panic(http.ErrAbortHandler) })
	_, err = w.client(breaking.Listener.Addr().String(), good.Listener.Addr().String()).Call(t.Context(), "quote", []byte(`{}`))
	var unreachable *UnreachableError
	if err == nil || errors.As(err, &unreachable) || calls != 1 {
		t.Errorf("error %v after %d calls of the good node", err, calls)
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	t.Setenv("XDG_STATE_HOME", filepath.Join(t.TempDir(), "state"))
	file, err := LoginFile(trustDomain, "http://vault.example")
	must(t, err)
	other, err := LoginFile(trustDomain, "http://other.example")
	must(t, err)
	if file == other || !strings.HasPrefix(file, os.Getenv("XDG_STATE_HOME")) {
		t.Errorf("the files are %s and %s", file, other)
	}
	if _, err := LoadLogin(file, trustDomain); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	for _, id := range []string{"client/ann", "client/bob"} { // the second replaces the first
		private, self := w.certify(id, time.Now().Add(time.Minute))
		must(t, SaveLogin(file, private, &Login{self, w.Bundle}))
		got, err := LoadLogin(file, trustDomain)
		must(t, err)
		if got.Identity.ID() != self.ID() || !got.Trust.Equal(w.Bundle) {
			t.Errorf("kept %s, read %s", self.ID(), got.Identity.ID())
		}
	}
	info, err := os.Stat(file)
	must(t, err)
	dir, err := os.ReadDir(filepath.Dir(file))
	must(t, err)
	if info.Mode().Perm() != 0o600 || len(dir) != 1 {
		t.Errorf("mode %v, %d files", info.Mode(), len(dir))
	}
	for name, spoil := range map[string]func() error{
		"others may read": func() error { return os.Chmod(file, 0o640) },
		"a link": func() error {
			return errors.Join(os.Rename(file, file+".real"), os.Symlink(file+".real", file))
		},
		"a directory":            func() error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"cut":                    func() error { return os.Truncate(file, 200) },
		"empty":                  func() error { return os.Truncate(file, 0) },
		"large":                  func() error { return os.Truncate(file, maxLogin+1) },
		"another trust domain's": func() error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(file))
			private, self := w.certify("client/ann", time.Now().Add(time.Minute))
			must(t, SaveLogin(file, private, &Login{self, w.Bundle}))
			must(t, spoil())
			domain := trustDomain
			if name == "another trust domain's" {
				domain = "other.example"
			}
			if _, err := LoadLogin(file, domain); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v", err)
			}
		})
	}
	must(t, os.RemoveAll(file))
	for name, made := range map[string]func() (ed25519.PrivateKey, *Login){
		"a function's": func() (ed25519.PrivateKey, *Login) {
			private, self := w.certify("function/quote", time.Now().Add(time.Minute))
			return private, &Login{self, w.Bundle}
		},
		"another authority's": func() (ed25519.PrivateKey, *Login) {
			private, self := newWorld(t).certify("client/ann", time.Now().Add(time.Minute))
			return private, &Login{self, w.Bundle}
		},
		"another key's": func() (ed25519.PrivateKey, *Login) {
			private, _ := w.certify("client/ann", time.Now().Add(time.Minute))
			return private, &Login{w.identity("client/ann"), w.Bundle}
		},
	} {
		private, login := made()
		must(t, SaveLogin(file, private, login))
		if _, err := LoadLogin(file, trustDomain); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	must(t, RemoveLogin(file))
	if err := RemoveLogin(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestEndedLogin can be read, so that people can be told whose it was.
func TestEndedLogin(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "login.pem")
	private, self := w.certify("client/ann", time.Now().Add(-time.Minute))
	must(t, SaveLogin(file, private, &Login{self, w.Bundle}))
	got, err := LoadLogin(file, trustDomain)
	must(t, err)
	if got.Identity.Certificate.CheckTime(time.Now()) == nil {
		t.Error("its time is not over")
	}
}

// TestOnlyLogin has a person who does not say from which Vault the login came.
func TestOnlyLogin(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if file := OnlyLogin("test.example"); file != "" {
		t.Errorf("without a login: %s", file)
	}
	var files []string
	for _, vault := range []string{"https://a", "https://b"} {
		file, err := LoginFile("test.example", vault)
		must(t, err)
		files = append(files, file)
	}
	must(t, os.MkdirAll(filepath.Dir(files[0]), 0o700))
	must(t, os.WriteFile(files[0], nil, 0o600))
	for _, other := range []string{"test.example-nodes.json", "other.test.example-0123456789abcdef.pem"} {
		must(t, os.WriteFile(filepath.Join(filepath.Dir(files[0]), other), nil, 0o600))
	}
	if file := OnlyLogin("test.example"); file != files[0] {
		t.Errorf("with one: %s, want %s", file, files[0])
	}
	must(t, os.WriteFile(files[1], nil, 0o600))
	if file := OnlyLogin("test.example"); file != "" {
		t.Errorf("with two: %s", file)
	}
}

// TestForgedReturns has a node that answers in the place of the function.
func TestForgedReturns(t *testing.T) {
	w := newWorld(t)
	trust := func() *identity.Bundle { return w.Bundle }
	quote, fx, stranger := w.identity("function/quote"), w.identity("function/fx"), newWorld(t).identity("function/quote")
	for name, forge := range map[string]func(http.ResponseWriter, *callsig.SignedCall, callsig.Return){
		"unsigned": func(rw http.ResponseWriter, _ *callsig.SignedCall, ret callsig.Return) {
			rw.Header().Set("Content-Type", callsig.ContentType)
		},
		"of another function": func(rw http.ResponseWriter, call *callsig.SignedCall, ret callsig.Return) {
			posing := *call
			posing.Call.Callee = fx.ID()
			_, err := callsig.SignResponse(rw.Header(), callsig.NewSigner(fx), &posing, ret, time.Now())
			must(t, err)
		},
		"of another authority": func(rw http.ResponseWriter, call *callsig.SignedCall, ret callsig.Return) {
			_, err := callsig.SignResponse(rw.Header(), callsig.NewSigner(stranger), call, ret, time.Now())
			must(t, err)
		},
		"with another body": func(rw http.ResponseWriter, call *callsig.SignedCall, ret callsig.Return) {
			ret.Body = []byte(`"other"`)
			_, err := callsig.SignResponse(rw.Header(), callsig.NewSigner(quote), call, ret, time.Now())
			must(t, err)
			rw.Header().Del("Content-Length")
		},
	} {
		t.Run(name, func(t *testing.T) {
			verifier := &callsig.Verifier{Trust: trust, Replay: callsig.NewReplayCache(0, time.Time{})}
			node := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				must(t, err)
				call, err := verifier.VerifyRequest(r, body, quote.ID())
				must(t, err)
				forge(rw, call, callsig.Return{Status: 200, Body: body})
				rw.Write(body)
			}))
			defer node.Close()
			c := w.client(node.Listener.Addr().String())
			c.Plain = true
			answer, err := c.Call(t.Context(), "quote", []byte(`{"a":1}`))
			var refused *callsig.Error
			if answer != nil || !errors.As(err, &refused) {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
}
