package modproxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/git"
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
	patient := git.AnswerTime
	git.AnswerTime = 5 * time.Second
	defer func() { git.AnswerTime = patient }()
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
