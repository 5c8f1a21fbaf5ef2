package contract

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"countersign/host/storage"
)

// testStorageEscapes has a function try to get out of its directory. Nothing outside may be read or changed.
func testStorageEscapes(t *testing.T, start Start) {
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
	g := StartFiles(t, start, dir, storage.Limits{MaxBytes: 1 << 20})
	var attempts []FileRequest
	for _, path := range []string{
		"/etc/passwd", secret, "/proc/self/environ", "/proc/self/mem", "/proc/1/root/etc/passwd", "/dev/zero", "/sys/kernel/notes",
		"/data/../etc/passwd", "/data/../neighbour/secret", "/data/x/../../neighbour/secret", "/data/./../../etc/passwd",
		"/data/absolute", "/data/relative", "/data/dir/secret", "/data/root/etc/passwd", "/data/root" + secret, "/data/self/environ",
		"/data/self/mem", "/data/self/fd/0", "/data/self/cwd/..", "/data/loop", "/data/inside", "/data/dangling", "/data/pipe",
		"/data/own/../../neighbour/secret", "/data//../neighbour/secret", "neighbour/secret", "../neighbour/secret",
		"/data/..", "/data/../../../../../../../../../../etc/passwd", "/data/dir/../neighbour/secret",
	} {
		for _, do := range []string{"read", "write", "append", "overwrite", "trunc-only", "truncate"} {
			attempts = append(attempts, FileRequest{Do: do, Path: path, Text: "changed"})
		}
	}
	attempts = append(attempts, []FileRequest{
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
		if got := g.Do(r); got.Error == "" {
			t.Errorf("%s %s %s succeeded: %+v", r.Do, r.Path, r.To, got)
		}
	}
	t.Logf("%d attempts, all refused", len(attempts))
	if r := g.Must(FileRequest{Do: "descriptors"}); r.N != 0 {
		t.Errorf("%d files are open", r.N)
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
	g.Must(FileRequest{Do: "remove", Path: "/data/absolute"}) // a link's name is the function's to remove
}
