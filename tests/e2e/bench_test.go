//go:build integration

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkMoves tells how long a deploy of one function that changed, one of nothing, a rollback and a rollforward take, and how long
// until the first call is answered by what was moved to.
func BenchmarkMoves(b *testing.B) {
	h.Deploy(b, examples()...)
	before := h.Manifest(b, nil, "tax")
	restore := h.Change(b, "tax", map[string][2]string{"function/main.go": {"standard: 1900, food: 700, books: 700", "standard: 1900, food: 800, books: 700"}})
	after := h.Manifest(b, nil, "tax")
	restore()
	repos := filepath.Join(b.TempDir(), "repos.bzl")
	if err := os.WriteFile(repos, []byte("FUNCTIONS = {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, move := range []struct {
		name        string
		there, back []string
		changes     bool
	}{
		{"deploy of one function that changed", []string{"deploy", "-manifest", after}, []string{"deploy", "-manifest", before}, true},
		{"deploy of nothing", []string{"deploy", "-manifest", before}, nil, false},
		{"rollback", []string{"rollback", "-repos", repos, "tax"}, []string{"rollforward", "-repos", repos}, true},
	} {
		b.Run(move.name, func(b *testing.B) {
			var serving, done time.Duration
			for b.Loop() {
				s, d := timed(b, move.changes, move.there...)
				serving, done = serving+s, done+d
				if move.back != nil {
					timed(b, move.changes, move.back...)
				}
			}
			b.ReportMetric(float64(done.Milliseconds())/float64(b.N), "ms-done")
			if move.changes {
				b.ReportMetric(float64(serving.Milliseconds())/float64(b.N), "ms-serving")
			}
			b.ReportMetric(0, "ns/op") // there and back
		})
	}
}

// timed runs a command, and tells how long it took until calls were answered differently, and until it ended.
func timed(b *testing.B, changes bool, args ...string) (serving, done time.Duration) {
	b.Helper()
	was := quoted(b)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.CLI, append(args, "-jobs-dir", filepath.Join(h.Scratch, "jobs"))...)
	cmd.Env = h.Environ()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for over := false; !over; {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("%s: %v\n%s", args, err, out.String())
			}
			done, over = time.Since(begin), true
		default:
			over = !changes
		}
		if changes && serving == 0 && quoted(b) != was {
			serving = time.Since(begin)
		}
	}
	if done == 0 {
		if err := <-ended; err != nil {
			b.Fatalf("%s: %v\n%s", args, err, out.String())
		}
		done = time.Since(begin)
	}
	if changes && serving == 0 {
		b.Fatalf("%s: no other answers\n%s", args, out.String())
	}
	return serving, done
}

// quoted returns what a basket costs, or "" if the call failed.
func quoted(b *testing.B) string {
	b.Helper()
	out, code := h.Command(b, `{"sku":"tea","quantity":2,"region":"EU","currency":"EUR"}`, "call", "quote", "-")
	if code != 0 {
		b.Fatalf("exit code %d: %s", code, out)
	}
	return out
}
