package modproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/git"
)

// team is a team's git repository.
type team struct {
	name, dir string
	days      int // each commit is a day younger than the last
}

func newTeam(t *testing.T, name string) *team {
	t.Helper()
	tm := &team{name: name, dir: t.TempDir()}
	tm.git(t, "init", "--quiet", "--initial-branch=main")
	return tm
}

func (tm *team) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "core.autocrlf=false"}, args...)...)
	date := fmt.Sprintf("2026-03-%02dT10:00:00+02:00", tm.days+1)
	cmd.Dir, cmd.Env = tm.dir, append(git.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files and commits all. A content that begins with "-> " is a symbolic link.
func (tm *team) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	tm.days++
	for name, content := range files {
		path := filepath.Join(tm.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tm.git(t, "add", "--all", ".")
	tm.git(t, "commit", "--quiet", "--allow-empty", "-m", "files")
	return tm.git(t, "rev-parse", "HEAD")
}

// tea is the files of a module with a package.
func tea(module string) map[string]string {
	return map[string]string{"go.mod": "module " + module + "\n\ngo 1.24\n", "tea.go": "package tea\n"}
}

// entry is the entry of a team in repos.bzl, with further members as Starlark.
func (tm *team) entry(commit string, more ...string) string {
	return fmt.Sprintf("    %q: {\"commit\": %q, \"remote\": %q, %s},\n", tm.name, commit, tm.dir, strings.Join(more, ", "))
}

func pinned(entries ...string) string { return "FUNCTIONS = {\n" + strings.Join(entries, "") + "}\n" }

// proxy is a running server and what it told.
type proxy struct {
	*Server
	file, url string
	mu        sync.Mutex
	told      []string
}

func serve(t *testing.T, repos string) *proxy {
	t.Helper()
	p := &proxy{file: filepath.Join(t.TempDir(), fileName)}
	if err := os.WriteFile(p.file, []byte(repos), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t, p.file)
	return p
}

// socketBuffer is what a socket is asked to hold: little, so that not much has to be sent to a client that does not read.
const socketBuffer = 32 << 10

func (p *proxy) start(t *testing.T, name string) {
	t.Helper()
	cache := t.TempDir()
	tell := func(text string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, text)
	}
	source, err := NewSource(name, cache, tell)
	if err == nil {
		p.Server, err = NewServer(t.Context(), source, cache, tell)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(socketBuffer); err != nil {
			t.Error(err)
		}
		return ctx
	}
	s.Start()
	t.Cleanup(s.Close)
	p.url = s.URL
}

func (p *proxy) tellings() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.told, "\n")
}

// get asks for a path as it is, without the cleaning that clients do.
func (p *proxy) get(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = path
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// wants asks for paths and expects status and a part of the answer.
func (p *proxy) wants(t *testing.T, status int, part string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		got, body := p.get(t, path)
		if got != status || !strings.Contains(body, part) {
			t.Errorf("%s: %d %q, want %d with %q", path, got, body, status, part)
		}
	}
}
