package hosts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign/pipeline/failure"
	"countersign/tests/nobody"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const allocation = "0b6dd5f5-0f4c-4d3a-9a2c-3a2f8e6c1d10"

func functionID(t *testing.T, name string) identity.ID {
	t.Helper()
	id, err := identity.FunctionID("test.example", name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// host is one that has the certificate of a function, and one answer for every question about allocation.
func host(t *testing.T, self *identity.Identity, answer string) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/health/"+allocation || answer == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	s.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != allocation+".quote" {
			return nil, fmt.Errorf("no instance %q runs here", hello.ServerName)
		}
		return self.TLSCertificate(), nil
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestAnswers(t *testing.T) {
	ours := identitytest.NewAuthority(t, "test.example", time.Now())
	theirs := identitytest.NewAuthority(t, "test.example", time.Now())
	quote := ours.Identity(t, functionID(t, "quote"))
	a := &Asker{trustDomain: "test.example", fetch: func(context.Context) (*identity.Bundle, error) { return ours.Bundle, nil }}
	const running = `{"function":"quote","artifact":"sha256:00","state":"running"}`

	unreachable := func(err error) bool { return failure.IsUnreachable(err) }
	refused := func(err error) bool { var e *identity.CertificateError; return errors.As(err, &e) }
	notServing := func(err error) bool { var e *NotServingError; return errors.As(err, &e) }
	for name, tt := range map[string]struct {
		address, allocation string
		ok                  func(error) bool
	}{
		"it runs":             {host(t, quote, running), allocation, func(err error) bool { return err == nil }},
		"another one runs":    {host(t, quote, running), strings.Replace(allocation, "0", "1", 1), notServing},
		"it is not there":     {host(t, quote, ""), allocation, notServing},
		"of another function": {host(t, quote, strings.Replace(running, "quote", "tax", 1)), allocation, notServing},
		"it does not run":     {host(t, quote, strings.Replace(running, "running", "stopping", 1)), allocation, notServing},
		"it says nothing":     {host(t, quote, "{}"), allocation, notServing},
		"no JSON":             {host(t, quote, "ok"), allocation, notServing},
		"another certificate": {host(t, ours.Identity(t, functionID(t, "tax")), running), allocation, refused},
		"another authority":   {host(t, theirs.Identity(t, functionID(t, "quote")), running), allocation, refused},
		"nobody listens":      {nobody.Listens(t), allocation, unreachable},
	} {
		err := a.Answers(t.Context(), Instance{Function: "quote", Allocation: tt.allocation, Address: tt.address})
		if !tt.ok(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBundleIsAwaited has a Vault that does not answer at first.
func TestBundleIsAwaited(t *testing.T) {
	ours := identitytest.NewAuthority(t, "test.example", time.Now())
	address := host(t, ours.Identity(t, functionID(t, "quote")), `{"function":"quote","state":"running"}`)
	away := errors.New("Vault is away")
	a := &Asker{trustDomain: "test.example", fetch: func(context.Context) (*identity.Bundle, error) { return nil, away }}
	i := Instance{Function: "quote", Allocation: allocation, Address: address}
	if err := a.Answers(t.Context(), i); !errors.Is(err, away) {
		t.Errorf("without a trust bundle: %v", err)
	}
	a.fetch = func(context.Context) (*identity.Bundle, error) { return ours.Bundle, nil }
	if err := a.Answers(t.Context(), i); err != nil {
		t.Error(err)
	}
}
