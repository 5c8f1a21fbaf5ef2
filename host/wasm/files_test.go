package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/storage"
)

// fileRequest and fileResult are those of the guest "files".
type fileRequest struct {
	Do   string `json:"do"`
	Path string `json:"path"`
	To   string `json:"to,omitempty"`
	Size int    `json:"size,omitempty"`
	Text string `json:"text,omitempty"`
}

type fileResult struct {
	Text  string `json:"text"`
	N     int    `json:"n"`
	Error string `json:"error"`
	Errno int    `json:"errno"`
}

// WASI's numbers, as Go's syscall has them for the guest.
const (
	guestENOSPC = 51
	guestEMFILE = 33
	guestEROFS  = 69
)

// filesGuest runs the guest "files" with a volume at /data.
type filesGuest struct {
	tb       testing.TB
	instance *Instance
	volume   *storage.Volume
}

func openVolume(tb testing.TB, disks *storage.Disks, dir string, l storage.Limits) *storage.Volume {
	tb.Helper()
	d, err := os.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	v, err := disks.Open(d, l)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { v.Close() })
	return v
}

func runFiles(tb testing.TB, dir string, l storage.Limits) *filesGuest {
	tb.Helper()
	if l.MaxFiles == 0 {
		l.MaxFiles = 1000
	}
	v := openVolume(tb, &storage.Disks{}, dir, l)
	return &filesGuest{tb, loadGuest(tb, "files", Options{Options: runtime.Options{
		Limits: limits.Limits{Memory: 256 << 20, Concurrency: 8}, Storage: []runtime.Storage{{Path: "/data", Volume: v}}}}), v}
}

func (g *filesGuest) do(r fileRequest) fileResult {
	g.tb.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		g.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := g.instance.Invoke(ctx, invocation(string(body)))
	if err != nil {
		g.tb.Fatalf("%s %s: %v", r.Do, r.Path, err)
	}
	return decode[fileResult](g.tb, answer)
}

// must does what has to work.
func (g *filesGuest) must(r fileRequest) fileResult {
	g.tb.Helper()
	result := g.do(r)
	if result.Error != "" {
		g.tb.Fatalf("%s %s: %s", r.Do, r.Path, result.Error)
	}
	return result
}

// used checks what is counted.
func (g *filesGuest) used(bytes, files int64) {
	g.tb.Helper()
	if u := g.volume.Usage(); u.Bytes != bytes || u.Files != files {
		g.tb.Errorf("%d bytes and %d files are counted; want %d and %d", u.Bytes, u.Files, bytes, files)
	}
}

func TestFilesAreOrdinary(t *testing.T) {
	dir := t.TempDir()
	g := runFiles(t, dir, storage.Limits{})
	g.must(fileRequest{Do: "mkdir", Path: "/data/a"})
	g.must(fileRequest{Do: "write", Path: "/data/a/one", Text: "hello"})
	g.must(fileRequest{Do: "append", Path: "/data/a/one", Text: " world"})
	g.must(fileRequest{Do: "sync", Path: "/data/a/one"})
	g.must(fileRequest{Do: "sync", Path: "/data/a"})
	g.must(fileRequest{Do: "chtimes", Path: "/data/a/one"})
	g.must(fileRequest{Do: "rename", Path: "/data/a/one", To: "/data/two"})
	if r := g.must(fileRequest{Do: "read", Path: "/data/two"}); r.Text != "hello world" {
		t.Errorf("it reads %q", r.Text)
	}
	if r := g.must(fileRequest{Do: "stat", Path: "/data/two"}); r.N != 11 {
		t.Errorf("its size is %d", r.N)
	}
	if r := g.must(fileRequest{Do: "list", Path: "/data"}); r.Text != "a two" {
		t.Errorf("the directory has %q", r.Text)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "two")); err != nil || string(b) != "hello world" {
		t.Errorf("on the node it is %q, %v", b, err)
	}
	if r := g.do(fileRequest{Do: "exclusive", Path: "/data/two"}); !strings.Contains(r.Error, "exists") {
		t.Errorf("a file that is there was made: %+v", r)
	}
	g.must(fileRequest{Do: "many", Path: "/data/a", Size: 300})
	if r := g.must(fileRequest{Do: "list", Path: "/data/a"}); r.N != 300 {
		t.Errorf("%d of 300 files are listed", r.N)
	}
}

// TestStorageIsCountedExactly fills a volume, and gets its room back.
func TestStorageIsCountedExactly(t *testing.T) {
	const room = 1 << 20
	g := runFiles(t, t.TempDir(), storage.Limits{MaxBytes: room, MaxFiles: 4})
	full := func(r fileResult) {
		t.Helper()
		if r.Errno != guestENOSPC || !strings.Contains(r.Error, "No space left") {
			t.Errorf("%+v; want ENOSPC", r)
		}
	}
	g.must(fileRequest{Do: "write", Path: "/data/a", Size: room - 10})
	r := g.do(fileRequest{Do: "write", Path: "/data/b", Size: 20})
	full(r)
	if r.N != 10 {
		t.Errorf("%d bytes were written into the room for 10", r.N)
	}
	g.used(room, 2)
	full(g.do(fileRequest{Do: "append", Path: "/data/a", Text: "x"}))
	full(g.do(fileRequest{Do: "truncate", Path: "/data/a", Size: room}))
	full(g.do(fileRequest{Do: "sparse", Path: "/data/b", Text: "x", Size: 1 << 40}))
	g.must(fileRequest{Do: "overwrite", Path: "/data/a", Size: 4096}) // needs no room
	g.used(room, 2)

	g.must(fileRequest{Do: "truncate", Path: "/data/a", Size: 100})
	g.used(110, 2)
	g.must(fileRequest{Do: "sparse", Path: "/data/b", Text: "x", Size: 9999})
	g.used(10_100, 2)
	g.must(fileRequest{Do: "link", Path: "/data/b", To: "/data/c"})
	g.used(10_100, 3)
	g.must(fileRequest{Do: "remove", Path: "/data/b"})
	g.used(10_100, 2)
	g.must(fileRequest{Do: "rename", Path: "/data/a", To: "/data/c"}) // over the last name of the other
	g.used(100, 1)

	g.must(fileRequest{Do: "mkdir", Path: "/data/d"})
	g.must(fileRequest{Do: "write", Path: "/data/d/e"})
	g.must(fileRequest{Do: "write", Path: "/data/f"})
	full(g.do(fileRequest{Do: "write", Path: "/data/g"}))
	full(g.do(fileRequest{Do: "mkdir", Path: "/data/g"}))
	full(g.do(fileRequest{Do: "link", Path: "/data/f", To: "/data/g"}))
	g.must(fileRequest{Do: "write", Path: "/data/f", Text: "again"})
	g.used(105, 4)
	for _, path := range []string{"/data/d/e", "/data/d", "/data/f", "/data/c"} {
		g.must(fileRequest{Do: "remove", Path: path})
	}
	g.used(0, 0)

	g.must(fileRequest{Do: "keep", Path: "/data/open"})
	g.must(fileRequest{Do: "write-kept", Size: 1000})
	g.must(fileRequest{Do: "remove", Path: "/data/open"})
	g.used(1000, 0)
	g.must(fileRequest{Do: "write-kept", Size: 500})
	g.used(1500, 0)
	g.must(fileRequest{Do: "drop"})
	g.used(0, 0)
	if g.volume.Usage().Refused == 0 {
		t.Error("no refusal was counted")
	}
}

// TestParallelSandboxesShareTheCount races all sandboxes of an allocation, and a second allocation, for the last bytes.
func TestParallelSandboxesShareTheCount(t *testing.T) {
	const room = 64 << 10
	dir, disks := t.TempDir(), &storage.Disks{}
	var guests []*filesGuest
	for range 2 {
		v := openVolume(t, disks, dir, storage.Limits{MaxBytes: room, MaxFiles: 100})
		guests = append(guests, &filesGuest{t, loadGuest(t, "files", Options{Options: runtime.Options{
			Limits: limits.Limits{Memory: 256 << 20, Concurrency: 4}, Storage: []runtime.Storage{{Path: "/data", Volume: v}}}}), v})
	}
	var group sync.WaitGroup
	var refused sync.Map
	for i, g := range guests {
		for j := range 4 {
			group.Add(1)
			go func() {
				defer group.Done()
				path := fmt.Sprintf("/data/%d-%d", i, j)
				for range 40 {
					if r := g.do(fileRequest{Do: "append", Path: path, Size: 777}); r.Errno == guestENOSPC {
						refused.Store(path, true)
					} else if r.Error != "" {
						t.Errorf("%s: %+v", path, r)
					}
				}
			}()
		}
	}
	group.Wait()
	var total int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total != room {
		t.Errorf("%d bytes are stored, of %d that are permitted", total, room)
	}
	guests[0].used(room, 8)
	guests[1].used(room, 8)
}

// TestCountBeginsAnew counts what is there when a volume is opened, as after a restart of the host.
func TestCountBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(dir, "a"), make([]byte, 600), 0o600))
	must(os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	must(os.Mkdir(filepath.Join(dir, "c"), 0o700))
	must(os.Truncate(filepath.Join(dir, "a"), 900))
	must(os.Symlink("/etc", filepath.Join(dir, "c", "etc")))
	g := runFiles(t, dir, storage.Limits{MaxBytes: 1000})
	g.used(900, 4)
	if r := g.do(fileRequest{Do: "write", Path: "/data/d", Size: 101}); r.Errno != guestENOSPC || r.N != 100 {
		t.Errorf("%+v; want 100 bytes and ENOSPC", r)
	}
	g.must(fileRequest{Do: "remove", Path: "/data/a"})
	g.used(1000, 4)
	g.must(fileRequest{Do: "remove", Path: "/data/b"})
	g.used(100, 3)
}

func TestReadOnlyStorage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := runFiles(t, dir, storage.Limits{ReadOnly: true})
	for _, r := range []fileRequest{
		{Do: "write", Path: "/data/a", Text: "x"}, {Do: "append", Path: "/data/a", Text: "x"}, {Do: "exclusive", Path: "/data/b"},
		{Do: "overwrite", Path: "/data/a", Text: "x"}, {Do: "trunc-only", Path: "/data/a"}, {Do: "truncate", Path: "/data/a"},
		{Do: "remove", Path: "/data/a"}, {Do: "mkdir", Path: "/data/b"}, {Do: "rename", Path: "/data/a", To: "/data/b"},
		{Do: "link", Path: "/data/a", To: "/data/b"}, {Do: "sparse", Path: "/data/a", Text: "x"}, {Do: "chtimes", Path: "/data/a"},
	} {
		if got := g.do(r); got.Errno != guestEROFS {
			t.Errorf("%s: %+v; want EROFS", r.Do, got)
		}
	}
	if r := g.must(fileRequest{Do: "read", Path: "/data/a"}); r.Text != "kept" {
		t.Errorf("it is %q", r.Text)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

func TestOpenFilesAreBounded(t *testing.T) {
	g := runFiles(t, t.TempDir(), storage.Limits{})
	if r := g.do(fileRequest{Do: "keep", Path: "/data/a", Size: 2000}); r.Errno != guestEMFILE || r.N != 1024 {
		t.Errorf("%+v; want EMFILE after 1024", r)
	}
	g.must(fileRequest{Do: "drop"})
	g.must(fileRequest{Do: "keep", Path: "/data/a", Size: 1000})
}

// TestStorageEscapes has a function try to get out of its directory. Nothing outside may be read or changed.
func TestStorageEscapes(t *testing.T) {
	outside := t.TempDir()
	dir, neighbour := filepath.Join(outside, "mine"), filepath.Join(outside, "neighbour")
	secret := filepath.Join(neighbour, "secret")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	must(os.Mkdir(neighbour, 0o700))
	must(os.WriteFile(secret, []byte("secret"), 0o600))
	must(os.WriteFile(filepath.Join(dir, "own"), []byte("own"), 0o600))
	for name, to := range map[string]string{"absolute": secret, "relative": "../neighbour/secret", "dir": "../neighbour",
		"root": "/", "self": "/proc/self", "loop": "loop", "inside": "own", "dangling": "../neighbour/new"} {
		must(os.Symlink(to, filepath.Join(dir, name)))
	}
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	g := runFiles(t, dir, storage.Limits{MaxBytes: 1 << 20})
	var attempts []fileRequest
	for _, path := range []string{
		"/etc/passwd", secret, "/proc/self/environ", "/proc/self/mem", "/proc/1/root/etc/passwd", "/dev/zero", "/sys/kernel/notes",
		"/data/../etc/passwd", "/data/../neighbour/secret", "/data/x/../../neighbour/secret", "/data/./../../etc/passwd",
		"/data/absolute", "/data/relative", "/data/dir/secret", "/data/root/etc/passwd", "/data/root" + secret, "/data/self/environ",
		"/data/self/mem", "/data/self/fd/0", "/data/self/cwd/..", "/data/loop", "/data/inside", "/data/dangling", "/data/pipe",
		"/data/own/../../neighbour/secret", "/data//../neighbour/secret", "neighbour/secret", "../neighbour/secret",
		"/data/..", "/data/../../../../../../../../../../etc/passwd", "/data/dir/../neighbour/secret",
	} {
		for _, do := range []string{"read", "write", "append", "overwrite", "trunc-only", "truncate"} {
			attempts = append(attempts, fileRequest{Do: do, Path: path, Text: "changed"})
		}
	}
	attempts = append(attempts, []fileRequest{
		{Do: "rename", Path: "/data/own", To: "/data/../neighbour/own"}, {Do: "rename", Path: "/data/own", To: "/data/dir/own"},
		{Do: "rename", Path: "/data/dir/secret", To: "/data/stolen"}, {Do: "rename", Path: "/data/../neighbour/secret", To: "/data/stolen"},
		{Do: "rename", Path: "/data", To: "/other"}, {Do: "rename", Path: "/data/..", To: "/data/up"},
		{Do: "link", Path: "/data/../neighbour/secret", To: "/data/stolen"}, {Do: "link", Path: "/data/dir/secret", To: "/data/stolen"},
		{Do: "link", Path: "/data/absolute", To: "/data/stolen"}, {Do: "link", Path: "/proc/self/fd/0", To: "/data/stolen"},
		{Do: "link", Path: "/data/own", To: "/data/dir/own"}, {Do: "symlink", Path: secret, To: "/data/new"},
		{Do: "symlink", Path: "..", To: "/data/new"}, {Do: "symlink", Path: "own", To: "/data/new"},
		{Do: "remove", Path: "/data/dir/secret"}, {Do: "remove", Path: "/data/../neighbour/secret"}, {Do: "remove", Path: "/data/.."},
		{Do: "remove", Path: "/data"}, {Do: "mkdir", Path: "/data/dir/new"}, {Do: "mkdir", Path: "/data/../neighbour/new"},
		{Do: "mkdir", Path: "/new"}, {Do: "list", Path: "/data/dir"}, {Do: "list", Path: "/data/.."}, {Do: "list", Path: "/"},
		{Do: "list", Path: "/data/self/fd"}, {Do: "list", Path: "/proc"}, {Do: "stat", Path: "/data/dir/secret"},
		{Do: "stat", Path: "/data/absolute"}, {Do: "stat", Path: secret}, {Do: "chtimes", Path: "/data/relative"},
		{Do: "chtimes", Path: "/data/dir/secret"}, {Do: "readlink", Path: "/data/self"}, {Do: "exclusive", Path: "/data/dangling"},
		{Do: "sparse", Path: "/data/dir/new", Text: "x", Size: 1}, {Do: "sync", Path: "/data/dir"}, {Do: "keep", Path: "/data/dir/secret"},
	}...)
	for _, r := range attempts {
		if got := g.do(r); got.Error == "" {
			t.Errorf("%s %s %s succeeded: %+v", r.Do, r.Path, r.To, got)
		}
	}
	t.Logf("%d attempts in WebAssembly, all refused", len(attempts))
	if r := g.must(fileRequest{Do: "descriptors"}); r.N != 0 {
		t.Errorf("%d descriptors can be read from", r.N)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the neighbour's file is %q, %v", b, err)
	}
	for where, want := range map[string]int{neighbour: 1, outside: 2, dir: 10} {
		if entries, err := os.ReadDir(where); err != nil || len(entries) != want {
			t.Errorf("%s has %v, %v", where, entries, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "own")); err != nil || string(b) != "own" {
		t.Errorf("its own file is %q, %v", b, err)
	}
	g.must(fileRequest{Do: "remove", Path: "/data/absolute"}) // a link's name is the function's to remove
}

// BenchmarkWrite4KiB compares a write of a function with one of the host.
func BenchmarkWrite4KiB(b *testing.B) {
	b.Run("function", func(b *testing.B) {
		g := runFiles(b, b.TempDir(), storage.Limits{MaxBytes: 1 << 20})
		g.must(fileRequest{Do: "bench", Path: "/data/a", Size: 1})
		b.ResetTimer()
		g.must(fileRequest{Do: "bench", Path: "/data/a", Size: b.N})
	})
	b.Run("os", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "a"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 4096)
		b.ResetTimer()
		for range b.N {
			if _, err := f.WriteAt(block, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
