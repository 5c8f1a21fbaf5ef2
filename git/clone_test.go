package git

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A remote that lists its references, and then hangs, is given up: nobody waits for it for as long as a large repository may take.
func TestRemoteThatHangsInFetch(t *testing.T) {
	before := StallTime
	StallTime = 2 * time.Second
	defer func() { StallTime = before }()
	remote := newRemote(t)
	commit := remote.commit(t, "first")
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		refs, err := exec.Command("git", "upload-pack", "--stateless-rpc", "--advertise-refs", remote.dir).Output()
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%s", refs)
	}))
	defer server.Close()
	defer close(over)
	c, err := NewClone(t.TempDir(), "", Source{Name: "green", Ref: HEAD, Remote: server.URL + "/green"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Ensure(ctx, commit); err == nil || !strings.Contains(err.Error(), "sent nothing for 2s") || IsRefusal(err) {
		t.Errorf("got %v", err)
	}
}
