package modproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hanging is a git server that accepts, and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return "http://" + l.Addr().String() + "/r.git"
}

// A pin whose remote never answers must not keep the other pins from being served, or from moving.
func TestHangingRemoteIsItsOwnMatter(t *testing.T) {
	patient := answerTime
	answerTime = 5 * time.Second
	defer func() { answerTime = patient }()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	green := newTeam(t, "green")
	commit := green.commit(t, tea("x.example/green"))
	cache, file := t.TempDir(), filepath.Join(t.TempDir(), fileName)
	hang := fmt.Sprintf("    \"hang\": {\"commit\": %q, \"remote\": %q},\n", commit, hanging(t))
	if err := os.WriteFile(file, []byte(pinned(green.entry(commit), hang)), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := NewSource(file, cache, func(x string) { t.Log(x) })
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(ctx, source, cache, func(x string) { t.Log(x) })
	if err != nil || len(s.Paths()) != 1 {
		t.Errorf("%v", err)
	}
}

// A remote that lists its references, and then hangs, is given up: nobody waits for it for as long as a large repository may take.
func TestRemoteThatHangsInFetch(t *testing.T) {
	before := stallTime
	stallTime = 2 * time.Second
	defer func() { stallTime = before }()
	team := newTeam(t, "green")
	commit := team.commit(t, tea("x.example/green"))
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		refs, err := exec.Command("git", "upload-pack", "--stateless-rpc", "--advertise-refs", team.dir).Output()
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%s", refs)
	}))
	defer server.Close()
	defer close(over)
	c, err := newClone(t.TempDir(), "", Pin{Name: "green", Commit: commit, Ref: "HEAD", Remote: server.URL + "/green"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.ensure(ctx); err == nil || !strings.Contains(err.Error(), "sent nothing for 2s") || isRefusal(err) {
		t.Errorf("got %v", err)
	}
}
