package interop

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/yaronf/httpsign"

	"countersign/vaultsign/callsig"
)

// TestOurTokenReturnTheirVerifier has the other library verify the return of a call that came with a bearer token.
func TestOurTokenReturnTheirVerifier(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		ret := callsig.Return{Status: http.StatusOK, Body: body}
		signer := callsig.NewSigner(w.function.identity)
		if _, err := callsig.SignTokenResponse(rw.Header(), signer, r, "interop-3", ret, time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := rw.Write(ret.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	for name, digest := range map[string]bool{"with a digest": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, server.URL+"/call/tax", bytes.NewReader([]byte(`{"region":"EU"}`)))
			must(t, err)
			fields := httpsign.Headers("@status", "content-type", "content-digest", "countersign-id")
			fields.AddHeaderExt("@method", false, false, true, false)
			fields.AddHeaderExt("@path", false, false, true, false)
			if digest {
				r.Header.Set("Content-Digest", callsig.ContentDigest([]byte(`{"region":"EU"}`)))
				fields.AddHeaderExt("content-digest", false, false, true, false)
			}
			resp, _ := send(t, r)
			config := httpsign.NewVerifyConfig().SetKeyID(w.function.keyID()).
				SetAllowedTags([]string{"countersign-token-return"}).SetAllowedAlgs([]string{"ed25519"})
			verifier, err := httpsign.NewEd25519Verifier(w.function.identity.Certificate.PublicKey(), config, fields)
			must(t, err)
			must(t, httpsign.VerifyResponse("return", *verifier, resp, r))
			r.URL.Path = "/call/fx"
			if err := httpsign.VerifyResponse("return", *verifier, resp, r); err == nil {
				t.Error("the other library takes it for the return of another function's call")
			}
		})
	}
}
