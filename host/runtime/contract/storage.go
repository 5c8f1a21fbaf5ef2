package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/storage"
)

// TestStorage runs the cases about storage tags on the guest of testdata/guest/files, which start starts.
func TestStorage(t *testing.T, start Start) {
	for name, test := range map[string]func(*testing.T, Start){
		"files are ordinary": testFilesAreOrdinary, "counted exactly": testStorageIsCountedExactly,
		"parallel sandboxes": testParallelSandboxesShareTheCount, "count begins anew": testCountBeginsAnew,
		"read-only": testReadOnlyStorage, "open files": testOpenFilesAreBounded, "two tags": testTwoTags,
		"escapes": testStorageEscapes,
	} {
		t.Run(name, func(t *testing.T) { test(t, start) })
	}
}

// FileRequest and FileResult are those of the guest.
type FileRequest struct {
	Do   string `json:"do"`
	Path string `json:"path"`
	To   string `json:"to,omitempty"`
	Size int    `json:"size,omitempty"`
	Text string `json:"text,omitempty"`
}

// FileResult is what came of a request. Errno is one of those that the cases ask for, by its name.
type FileResult struct {
	Text  string `json:"text"`
	N     int    `json:"n"`
	Error string `json:"error"`
	Errno string `json:"errno"`
}

// Files is the guest with a volume at /data.
type Files struct {
	tb       testing.TB
	instance runtime.Instance
	volume   *storage.Volume
}

// OpenVolume opens a volume on a directory for the time of a test.
func OpenVolume(tb testing.TB, disks *storage.Disks, dir string, l storage.Limits) *storage.Volume {
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

// StartFiles starts the guest with a volume on a directory.
func StartFiles(tb testing.TB, start Start, dir string, l storage.Limits) *Files {
	tb.Helper()
	if l.MaxFiles == 0 {
		l.MaxFiles = 1000
	}
	v := OpenVolume(tb, &storage.Disks{}, dir, l)
	return startFiles(tb, start, 8, v, runtime.Storage{Path: "/data", Volume: v})
}

func startFiles(tb testing.TB, start Start, concurrency int, counted *storage.Volume, tags ...runtime.Storage) *Files {
	tb.Helper()
	in := start(tb, runtime.Options{Function: "files", Limits: limits.Limits{Memory: 256 << 20, Concurrency: concurrency}, Storage: tags})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), long)
		defer cancel()
		if err := in.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return &Files{tb, in, counted}
}

// Do has the guest do something.
func (g *Files) Do(r FileRequest) FileResult {
	g.tb.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		g.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	answer, err := g.instance.Invoke(ctx, &countersign.Invocation{ID: "test", Caller: caller, Body: body})
	if err != nil {
		g.tb.Fatalf("%s %s: %v", r.Do, r.Path, err)
	}
	var result FileResult
	if err := json.Unmarshal(answer, &result); err != nil {
		g.tb.Fatalf("%s %s: %q: %v", r.Do, r.Path, answer, err)
	}
	return result
}

// Must does what has to work.
func (g *Files) Must(r FileRequest) FileResult {
	g.tb.Helper()
	result := g.Do(r)
	if result.Error != "" {
		g.tb.Fatalf("%s %s: %s", r.Do, r.Path, result.Error)
	}
	return result
}

// Usage is what is counted.
func (g *Files) Usage() storage.Usage { return g.volume.Usage() }

// used checks what is counted.
func (g *Files) used(bytes, files int64) {
	g.tb.Helper()
	if u := g.volume.Usage(); u.Bytes != bytes || u.Files != files {
		g.tb.Errorf("%d bytes and %d files are counted; want %d and %d", u.Bytes, u.Files, bytes, files)
	}
}

func testFilesAreOrdinary(t *testing.T, start Start) {
	dir := t.TempDir()
	g := StartFiles(t, start, dir, storage.Limits{})
	g.Must(FileRequest{Do: "mkdir", Path: "/data/a"})
	g.Must(FileRequest{Do: "write", Path: "/data/a/one", Text: "hello"})
	g.Must(FileRequest{Do: "append", Path: "/data/a/one", Text: " world"})
	g.Must(FileRequest{Do: "sync", Path: "/data/a/one"})
	g.Must(FileRequest{Do: "sync", Path: "/data/a"})
	g.Must(FileRequest{Do: "chtimes", Path: "/data/a/one"})
	g.Must(FileRequest{Do: "rename", Path: "/data/a/one", To: "/data/two"})
	if r := g.Must(FileRequest{Do: "read", Path: "/data/two"}); r.Text != "hello world" {
		t.Errorf("it reads %q", r.Text)
	}
	if r := g.Must(FileRequest{Do: "stat", Path: "/data/two"}); r.N != 11 {
		t.Errorf("its size is %d", r.N)
	}
	if r := g.Must(FileRequest{Do: "list", Path: "/data"}); r.Text != "a two" {
		t.Errorf("the directory has %q", r.Text)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "two")); err != nil || string(b) != "hello world" {
		t.Errorf("on the node it is %q, %v", b, err)
	}
	if r := g.Do(FileRequest{Do: "exclusive", Path: "/data/two"}); !strings.Contains(r.Error, "exists") {
		t.Errorf("a file that is there was made: %+v", r)
	}
	g.Must(FileRequest{Do: "write", Path: "/data/large", Size: 1 << 20})
	if r := g.Must(FileRequest{Do: "copy", Path: "/data/large", To: "/data/copy"}); r.N != 1<<20 {
		t.Errorf("%d bytes are copied", r.N)
	}
	g.Must(FileRequest{Do: "deep", Path: "/data/b/c/d"})
	g.Must(FileRequest{Do: "write", Path: "/data/b/c/d/e"})
	g.Must(FileRequest{Do: "remove all", Path: "/data/b"})
	g.Must(FileRequest{Do: "many", Path: "/data/a", Size: 300})
	if r := g.Must(FileRequest{Do: "list", Path: "/data/a"}); r.N != 300 {
		t.Errorf("%d of 300 files are listed", r.N)
	}
}

// testStorageIsCountedExactly fills a volume, and gets its room back.
func testStorageIsCountedExactly(t *testing.T, start Start) {
	const room = 1 << 20
	g := StartFiles(t, start, t.TempDir(), storage.Limits{MaxBytes: room, MaxFiles: 4})
	full := func(r FileResult) {
		t.Helper()
		if r.Errno != "ENOSPC" || !strings.Contains(strings.ToLower(r.Error), "no space left") {
			t.Errorf("%+v; want ENOSPC", r)
		}
	}
	g.Must(FileRequest{Do: "write", Path: "/data/a", Size: room - 10})
	r := g.Do(FileRequest{Do: "write", Path: "/data/b", Size: 20})
	full(r)
	if r.N != 10 {
		t.Errorf("%d bytes were written into the room for 10", r.N)
	}
	g.used(room, 2)
	full(g.Do(FileRequest{Do: "append", Path: "/data/a", Text: "x"}))
	full(g.Do(FileRequest{Do: "truncate", Path: "/data/a", Size: room}))
	full(g.Do(FileRequest{Do: "sparse", Path: "/data/b", Text: "x", Size: 1 << 40}))
	g.Must(FileRequest{Do: "overwrite", Path: "/data/a", Size: 4096}) // needs no room
	g.used(room, 2)

	g.Must(FileRequest{Do: "truncate", Path: "/data/a", Size: 100})
	g.used(110, 2)
	g.Must(FileRequest{Do: "sparse", Path: "/data/b", Text: "x", Size: 9999})
	g.used(10_100, 2)
	g.Must(FileRequest{Do: "link", Path: "/data/b", To: "/data/c"})
	g.used(10_100, 3)
	g.Must(FileRequest{Do: "remove", Path: "/data/b"})
	g.used(10_100, 2)
	g.Must(FileRequest{Do: "rename", Path: "/data/a", To: "/data/c"}) // over the last name of the other
	g.used(100, 1)

	g.Must(FileRequest{Do: "mkdir", Path: "/data/d"})
	g.Must(FileRequest{Do: "write", Path: "/data/d/e"})
	g.Must(FileRequest{Do: "write", Path: "/data/f"})
	full(g.Do(FileRequest{Do: "write", Path: "/data/g"}))
	full(g.Do(FileRequest{Do: "mkdir", Path: "/data/g"}))
	full(g.Do(FileRequest{Do: "link", Path: "/data/f", To: "/data/g"}))
	g.Must(FileRequest{Do: "write", Path: "/data/f", Text: "again"})
	g.used(105, 4)
	for _, path := range []string{"/data/d/e", "/data/d", "/data/f", "/data/c"} {
		g.Must(FileRequest{Do: "remove", Path: path})
	}
	g.used(0, 0)

	g.Must(FileRequest{Do: "keep", Path: "/data/open"})
	g.Must(FileRequest{Do: "write-kept", Size: 1000})
	g.Must(FileRequest{Do: "remove", Path: "/data/open"})
	g.used(1000, 0)
	g.Must(FileRequest{Do: "write-kept", Size: 500})
	g.used(1500, 0)
	g.Must(FileRequest{Do: "drop"})
	g.used(0, 0)
	if g.volume.Usage().Refused == 0 {
		t.Error("no refusal was counted")
	}
}

// testParallelSandboxesShareTheCount races all sandboxes of an allocation, and a second allocation, for the last bytes.
func testParallelSandboxesShareTheCount(t *testing.T, start Start) {
	const room = 64 << 10
	dir, disks := t.TempDir(), &storage.Disks{}
	var guests []*Files
	for range 2 {
		v := OpenVolume(t, disks, dir, storage.Limits{MaxBytes: room, MaxFiles: 100})
		guests = append(guests, startFiles(t, start, 4, v, runtime.Storage{Path: "/data", Volume: v}))
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
					if r := g.Do(FileRequest{Do: "append", Path: path, Size: 777}); r.Errno == "ENOSPC" {
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

// testCountBeginsAnew counts what is there when a volume is opened, as after a restart of the host.
func testCountBeginsAnew(t *testing.T, start Start) {
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
	g := StartFiles(t, start, dir, storage.Limits{MaxBytes: 1000})
	g.used(900, 4)
	if r := g.Do(FileRequest{Do: "write", Path: "/data/d", Size: 101}); r.Errno != "ENOSPC" || r.N != 100 {
		t.Errorf("%+v; want 100 bytes and ENOSPC", r)
	}
	g.Must(FileRequest{Do: "remove", Path: "/data/a"})
	g.used(1000, 4)
	g.Must(FileRequest{Do: "remove", Path: "/data/b"})
	g.used(100, 3)
}

func testReadOnlyStorage(t *testing.T, start Start) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := StartFiles(t, start, dir, storage.Limits{ReadOnly: true})
	for _, r := range []FileRequest{
		{Do: "write", Path: "/data/a", Text: "x"}, {Do: "append", Path: "/data/a", Text: "x"}, {Do: "exclusive", Path: "/data/b"},
		{Do: "overwrite", Path: "/data/a", Text: "x"}, {Do: "trunc-only", Path: "/data/a"}, {Do: "truncate", Path: "/data/a"},
		{Do: "remove", Path: "/data/a"}, {Do: "mkdir", Path: "/data/b"}, {Do: "rename", Path: "/data/a", To: "/data/b"},
		{Do: "link", Path: "/data/a", To: "/data/b"}, {Do: "sparse", Path: "/data/a", Text: "x"}, {Do: "chtimes", Path: "/data/a"},
	} {
		if got := g.Do(r); got.Errno != "EROFS" {
			t.Errorf("%s: %+v; want EROFS", r.Do, got)
		}
	}
	if r := g.Must(FileRequest{Do: "read", Path: "/data/a"}); r.Text != "kept" {
		t.Errorf("it is %q", r.Text)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

// testTwoTags has one tag in another, and nothing go from one to the other.
func testTwoTags(t *testing.T, start Start) {
	outer, inner := t.TempDir(), t.TempDir()
	var disks storage.Disks
	v := OpenVolume(t, &disks, outer, storage.Limits{MaxFiles: 10})
	g := startFiles(t, start, 1, v, runtime.Storage{Path: "/data", Volume: v}, runtime.Storage{Path: "/data/in",
		Volume: OpenVolume(t, &disks, inner, storage.Limits{MaxFiles: 10})}, runtime.Storage{Path: "/data-too",
		Volume: OpenVolume(t, &disks, t.TempDir(), storage.Limits{ReadOnly: true})})
	g.Must(FileRequest{Do: "write", Path: "/data/in/a", Text: "inner"})
	g.Must(FileRequest{Do: "write", Path: "/data/a", Text: "outer"})
	for _, r := range []FileRequest{
		{Do: "rename", Path: "/data/in/a", To: "/data/b"}, {Do: "link", Path: "/data/in/a", To: "/data/b"},
		{Do: "rename", Path: "/data/a", To: "/data/in/b"}, {Do: "write", Path: "/data-too/a"},
		{Do: "read", Path: "/data/in/../in/../../data-too/a"}, {Do: "write", Path: "/data/inx/a"},
	} {
		if got := g.Do(r); got.Error == "" {
			t.Errorf("%s %s %s succeeded", r.Do, r.Path, r.To)
		}
	}
	if b, err := os.ReadFile(filepath.Join(inner, "a")); err != nil || string(b) != "inner" {
		t.Errorf("the inner tag's file is %q, %v", b, err)
	}
	g.used(5, 1)
}

func testOpenFilesAreBounded(t *testing.T, start Start) {
	g := StartFiles(t, start, t.TempDir(), storage.Limits{})
	if r := g.Do(FileRequest{Do: "keep", Path: "/data/a", Size: 2000}); r.Errno != "EMFILE" || r.N != 1024 {
		t.Errorf("%+v; want EMFILE after 1024", r)
	}
	g.Must(FileRequest{Do: "drop"})
	g.Must(FileRequest{Do: "keep", Path: "/data/a", Size: 1000})
}

// BenchmarkWrite4KiB compares a write of a function with one of the host.
func BenchmarkWrite4KiB(b *testing.B, start Start) {
	b.Run("function", func(b *testing.B) {
		g := StartFiles(b, start, b.TempDir(), storage.Limits{MaxBytes: 1 << 20})
		g.Must(FileRequest{Do: "bench", Path: "/data/a", Size: 1})
		b.ResetTimer()
		g.Must(FileRequest{Do: "bench", Path: "/data/a", Size: b.N})
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
