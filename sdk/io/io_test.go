package io_test

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign.internal/sdk/io"
	"countersign.internal/sdk/io/http"
	"countersign.internal/sdk/sdktest"
)

// The shapes that client libraries want.
var (
	_ interface {
		Dial(network, address string) (net.Conn, error)
		DialTimeout(network, address string, timeout time.Duration) (net.Conn, error)
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = io.Dialer("") // lib/pq
	_ func(context.Context, string) (net.Conn, error)         = io.Dialer("").DialAddress // gRPC, go-sql-driver
	_ func(context.Context, string, string) (net.Conn, error) = io.Dialer("").DialContext // pgx, go-redis, net/http
	_ func(context.Context, string) ([]string, error)         = io.Dialer("").LookupHost  // pgx
	_ net.Error                                               = (*io.Error)(nil)
)

func TestTagsLeadWhereATestSays(t *testing.T) {
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Error(w, r.Host+r.URL.Path, nethttp.StatusTeapot)
	}))
	defer server.Close()
	t.Run("bound", func(t *testing.T) {
		sdktest.Network(t, "rates", "tcp", server.Listener.Addr().String())
		client := &nethttp.Client{Transport: http.RoundTripper("rates")}
		resp, err := client.Get("http://rates.example/v1")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, 64)
		n, _ := resp.Body.Read(b)
		if got := strings.TrimSpace(string(b[:n])); got != "rates.example/v1" || resp.StatusCode != nethttp.StatusTeapot {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		for name, dial := range map[string]func() (net.Conn, error){
			"Dial":        func() (net.Conn, error) { return io.Dialer("rates").Dial("tcp", "db:1") },
			"DialTimeout": func() (net.Conn, error) { return io.Dialer("rates").DialTimeout("tcp", "db:1", time.Minute) },
			"DialAddress": func() (net.Conn, error) { return io.Dialer("rates").DialAddress(t.Context(), "db:1") },
		} {
			c, err := dial()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c.Close()
		}
	})
	_, err := io.Dial(t.Context(), "rates")
	wantReason(t, err, io.Undeclared)
	if !strings.Contains(err.Error(), "sdktest.Network") {
		t.Errorf("it does not say what to do: %v", err)
	}
}

func TestDialFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	sdktest.Network(t, "dead", "tcp", l.Addr().String())
	_, err = io.Dial(t.Context(), "dead")
	wantReason(t, err, io.Refused)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = io.Dial(canceled, "dead")
	wantReason(t, err, io.Canceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v hides its cause", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err = io.Dial(late, "dead")
	wantReason(t, err, io.TimedOut)
}

func wantReason(t *testing.T, err error, want io.Reason) {
	t.Helper()
	var failure *io.Error
	if !errors.As(err, &failure) || failure.Reason != want {
		t.Errorf("got %v, want the reason %q", err, want)
	}
}
