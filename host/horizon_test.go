package host

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

func TestHorizon(t *testing.T) {
	now := time.Now()
	worst := now.Add(callsig.ClockSkew).Unix()
	open := func(dir string) int64 {
		t.Helper()
		h, err := openHorizon(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		return h.Reached()
	}
	dir := t.TempDir()
	if got := open(dir); got != 0 {
		t.Errorf("a new directory has the horizon %d", got)
	}
	h, err := openHorizon(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []int64{now.Unix() - 100, now.Unix() + 9} {
		if err := h.Raise(to); err != nil {
			t.Fatal(err)
		}
		if got := open(dir); got != to {
			t.Errorf("%d was kept as %d", to, got)
		}
	}
	file := filepath.Join(dir, "accepted")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, text := range []string{"", "x", "-1", "1e9", "0x10", "99999999999999999999", strconv.FormatInt(worst+3600, 10)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := open(dir); got != worst {
			t.Errorf("%q stands for the horizon %d; want the worst", text, got)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "artifacts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := open(dir); got != worst {
		t.Errorf("a directory of a host that left no horizon has the horizon %d", got)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := openHorizon(dir, now); err == nil {
		t.Error("a directory is read as a horizon")
	}
	if h.Raise(worst) == nil {
		t.Error("a directory is replaced")
	}
}

// TestRestartedHostRefusesReplays has a client whose clock is ahead, and a host that is replaced at once.
func TestRestartedHostRefusesReplays(t *testing.T) {
	ca := newAuthority(t)
	first := newFixtureOf(t, ca)
	config := first.host.config
	runs := 0
	serve := func(f *fixture, address string) (at string, end func()) {
		f.run("quote", hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthSigned}},
			running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
				runs++
				return in.Body, nil
			}))
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		in, err := f.host.newIngress()
		if err != nil {
			t.Fatal(err)
		}
		go in.Serve(f.host.ctx, l)
		return l.Addr().String(), func() { in.Close(); l.Close() }
	}
	address, end := serve(first, "127.0.0.1:0")
	client, err := identity.ClientID(trustDomain, "someone")
	if err != nil {
		t.Fatal(err)
	}
	callee := functionID(t, "quote")
	request, err := http.NewRequest(http.MethodPost, "http://"+address+callsig.Path(callee), nil)
	if err != nil {
		t.Fatal(err)
	}
	ahead := time.Now().Add(callsig.ClockSkew - time.Second)
	if _, err := callsig.SignRequest(request, callsig.NewSigner(ca.Identity(t, client)), callsig.Call{Caller: client, Callee: callee,
		Authority: callsig.AuthorityOf(request), Deadline: ahead.Add(time.Minute), ID: "1", Body: []byte("{}")}, ahead); err != nil {
		t.Fatal(err)
	}
	send := func() (int, string) {
		again := request.Clone(t.Context())
		again.Body, _ = request.GetBody()
		again.Close = true
		response, err := http.DefaultClient.Do(again)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if status, body := send(); status != 200 {
		t.Fatalf("answered with %d %s", status, body)
	}
	end()
	next, err := New(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.cancel(); next.stopAll() })
	_, end = serve(&fixture{tb: t, ca: ca, host: next}, address)
	defer end()
	if status, body := send(); status != 401 || !strings.Contains(body, "expired") || runs != 1 {
		t.Errorf("after the restart: %d %s, executed %d times", status, body, runs)
	}
}
