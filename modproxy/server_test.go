package modproxy

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
)

const teaPath = "shop.example/tea"

func TestProtocol(t *testing.T) {
	tm := newTeam(t, "tea")
	tm.commit(t, tea(teaPath))
	tm.git(t, "tag", "v1.2.0")
	pin := tm.commit(t, map[string]string{"cup/cup.go": "package cup\n", "tool/go.mod": "module shop.example/tea/tool\n", "tool/tool.go": "package tool\n"})
	tm.commit(t, map[string]string{"later.go": "package tea\n"})
	tm.git(t, "tag", "-a", "-m", "later", "v1.3.0")
	p := serve(t, pinned(tm.entry(pin)))

	version := "v1.2.1-0.20260303080000-" + pin[:12]
	p.wants(t, 200, `{"Version":"`+version+`","Time":"2026-03-03T08:00:00Z"}`, "/shop.example/tea/@latest",
		"/shop.example/tea/@v/pinned.info", "/shop.example/tea/@v/"+pin+".info", "/shop.example/tea/@v/"+pin[:12]+".info", "/shop.example/tea/@v/"+version+".info")
	p.wants(t, 200, "module shop.example/tea", "/shop.example/tea/@v/"+version+".mod", "/shop.example/tea/@v/v1.2.0.mod", "/shop.example/tea/@v/v1.3.0.mod")
	if _, list := p.get(t, "/shop.example/tea/@v/list"); list != "v1.2.0\n" {
		t.Errorf("list: %q, want the tags up to the pin", list)
	}
	// Go takes one that is not after the tag, too.
	p.wants(t, 200, "v0.0.0-20260303080000", "/shop.example/tea/@v/v0.0.0-20260303080000-"+pin[:12]+".info")

	status, body := p.get(t, "/shop.example/tea/@v/"+version+".zip")
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if status != 200 || err != nil {
		t.Fatalf("zip: %d, %v", status, err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, strings.TrimPrefix(f.Name, teaPath+"@"+version+"/"))
	}
	if want := []string{"cup/cup.go", "go.mod", "tea.go"}; !slices.Equal(names, want) {
		t.Errorf("the zip holds %q, want %q", names, want)
	}
	// What go.sum is given beforehand is what clients see.
	want, err := VersionOf(t.Context(), filepath.Join(tm.dir, ".git"), pin)
	file := filepath.Join(t.TempDir(), "tea.zip")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if hash, hashErr := dirhash.HashZip(file, dirhash.Hash1); err != nil || hashErr != nil || want.Zip != hash || want.Version != version {
		t.Errorf("VersionOf: %+v, %v; served is %s, %v", want, err, hash, hashErr)
	}
	if pinned, err := p.Pinned(t.Context(), teaPath); err != nil || pinned != want {
		t.Errorf("Pinned: %+v, %v", pinned, err)
	}
}

func TestOthersAreLeftToTheNextProxy(t *testing.T) {
	tm := newTeam(t, "tea")
	p := serve(t, pinned(tm.entry(tm.commit(t, tea(teaPath)))))
	p.wants(t, 404, "", "/golang.org/x/text/@v/list", "/shop.example/@latest", "/shop.example/tea/cup/@v/list", "/other.example/tea/@latest",
		"/shop.example/tea/v2/@v/list", "/sumdb/sum.golang.org/supported", "/", "/favicon.ico")
}

func TestHostileClients(t *testing.T) {
	tm := newTeam(t, "tea")
	pin := tm.commit(t, tea(teaPath))
	p := serve(t, pinned(tm.entry(pin)))
	for _, path := range []string{"/shop.example/tea/@v/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd/@v/list", "/../tea/@v/list",
		"/shop.example/tea/@v/..%2f..%2fHEAD.info", "/shop.example/tea/@v/%00.info", "/shop.example\\tea/@v/list", "/Shop.example/tea/@v/list",
		"/" + strings.Repeat("a", maxPath) + "/@v/list"} {
		if status, body := p.get(t, path); status != 404 && status != 400 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	p.wants(t, 403, "is no version of it", "/shop.example/tea/@v/!h!e!a!d.info", "/shop.example/tea/@v/main.info", "/shop.example/tea/@v/--upload-pack=x.info",
		"/shop.example/tea/@v/"+strings.Repeat("a", 65)+".info", "/shop.example/tea/@v/-.info")
	p.wants(t, 403, "is no version that", "/shop.example/tea/@v/v1.info", "/shop.example/tea/@v/v2.0.0.info", "/shop.example/tea/@v/v1.0.0+incompatible.info")
	p.wants(t, 403, "ask for that", "/shop.example/tea/@v/pinned.zip", "/shop.example/tea/@v/"+pin+".mod")
	p.wants(t, 403, ".info, .mod or .zip", "/shop.example/tea/@v/pinned", "/shop.example/tea/@v/v0.0.0-20260302080000-"+pin[:12]+".exe")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		r, _ := http.NewRequest(method, p.url+"/shop.example/tea/@latest", strings.NewReader("x"))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
}

// A web page of evil.example has its name lead to this machine, and a browser ask.
func TestNameOfAnotherMachineIsRefused(t *testing.T) {
	tm := newTeam(t, "tea")
	p := serve(t, pinned(tm.entry(tm.commit(t, tea(teaPath)))))
	for host, want := range map[string]int{"evil.example": 403, "evil.example:80": 403, "127.0.0.1.evil.example": 403, "localhost": 200, "127.0.0.1:1": 200, "[::1]:80": 200} {
		r, _ := http.NewRequest(http.MethodGet, p.url+"/shop.example/tea/@latest", nil)
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("asked by the name %s: %s, want %d", host, res.Status, want)
		}
	}
}

// A client that reads nothing of what it asked for keeps nobody else waiting.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	tm := newTeam(t, "tea")
	files := tea(teaPath)
	noise := make([]byte, 16*socketBuffer) // more than the sockets of both ends hold, and not to be compressed
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	files["noise"] = string(noise)
	pin := tm.commit(t, files)
	p := serve(t, pinned(tm.entry(pin)))
	slow := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return c, c.(*net.TCPConn).SetReadBuffer(socketBuffer)
	}}}
	for range builds + 2 {
		res, err := slow.Get(p.url + "/shop.example/tea/@v/v0.0.0-20260302080000-" + pin[:12] + ".zip")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v", res, err)
		}
		defer res.Body.Close()
	}
	p.wants(t, 200, "Version", "/shop.example/tea/@latest")
}

func TestPinsThatMove(t *testing.T) {
	tm := newTeam(t, "tea")
	first := tm.commit(t, tea(teaPath))
	p := serve(t, pinned(tm.entry(first)))
	second := tm.commit(t, nil)
	p.wants(t, 200, first[:12], "/shop.example/tea/@latest")
	write := func(text string) {
		if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.reloading.Lock()
		p.loaded = time.Time{}
		p.reloading.Unlock()
	}
	write(pinned(tm.entry(second)))
	p.wants(t, 200, second[:12], "/shop.example/tea/@latest")
	write("FUNCTIONS = nonsense")
	p.wants(t, 200, second[:12], "/shop.example/tea/@latest")
	if !strings.Contains(p.tellings(), "the pins are those of before") {
		t.Errorf("told %q", p.tellings())
	}
}

// The pins of a laptop that has no checkout of the deployment's repository.
func TestPinsOfAGitRepository(t *testing.T) {
	tm := newTeam(t, "tea")
	platform := newTeam(t, "platform")
	pin := tm.commit(t, tea(teaPath))
	product := newTeam(t, "product")
	sdk := product.commit(t, map[string]string{"go.mod": "module countersign\n", "sdk/go.mod": "module " + SDKPath + "\n"})
	platform.commit(t, map[string]string{productFile: `COUNTERSIGN = {"commit": "` + sdk + `", "remote": "` + product.dir + `"}`,
		fileName: pinned(tm.entry(pin), `    "fx": {"commit": "`+pin+`", "remote": "//.repos/fx"},`+"\n")})
	p := &proxy{}
	p.start(t, "file://"+platform.dir)
	p.wants(t, 200, sdk[:12], "/"+SDKPath+"/@latest")
	p.wants(t, 200, pin[:12], "/shop.example/tea/@latest")
	if !strings.Contains(p.tellings(), "repository fx") || !strings.Contains(p.tellings(), "run this command there") {
		t.Errorf("told %q", p.tellings())
	}
}

func TestZipIsMadeOfTheCommitsOwnBytes(t *testing.T) {
	tm := newTeam(t, "tea")
	files := tea(teaPath)
	files[".gitattributes"] = "*.go export-subst ident filter=x\nsecret.go export-ignore\ncr.txt eol=crlf\n"
	files["id.go"] = "package tea // $Format:%H$ $Id$\n"
	files["secret.go"], files["cr.txt"] = "package tea\n", "a\nb\n"
	pin := tm.commit(t, files)
	p := serve(t, pinned(tm.entry(pin)))
	_, body := p.get(t, "/shop.example/tea/@v/v0.0.0-20260302080000-"+pin[:12]+".zip")
	z, err := zip.NewReader(bytes.NewReader([]byte(body)), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(r)
		_, name, _ := strings.Cut(f.Name, "/tea@")
		_, name, _ = strings.Cut(name, "/")
		got[name] = string(content)
	}
	for name, want := range files {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
