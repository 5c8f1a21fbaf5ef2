package native

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/contract"
	"countersign/host/runtime/limits"
	"countersign/host/storage"
)

// TestStorageAttacks has a function make system calls of its own, as hostile code would. The host's answer to each is an error,
// and nothing is changed by it, neither outside nor beyond what may be kept.
func TestStorageAttacks(t *testing.T) {
	const room = 64 << 10
	outside := t.TempDir()
	dir := filepath.Join(outside, "mine")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(outside, "neighbour"), 0o700))
	must(os.Mkdir(dir, 0o700))
	must(os.WriteFile(filepath.Join(outside, "neighbour", "secret"), []byte("secret"), 0o600))
	must(os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	g := contract.StartFiles(t, startFiles, dir, storage.Limits{MaxBytes: room, MaxFiles: 20})
	r := g.Must(contract.FileRequest{Do: "attack", Path: "/data/file", Size: 1 << 40})
	t.Logf("%d attacks", r.N)
	if r.Text != "" || r.N < 80 {
		t.Errorf("of %d attacks these succeeded: %s", r.N, r.Text)
	}
	for where, want := range map[string]int{dir: 2, outside: 3, filepath.Join(outside, "neighbour"): 1} {
		if entries, err := os.ReadDir(where); err != nil || len(entries) != want {
			t.Errorf("%s has %v, %v", where, entries, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Size() != 100 || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if u := g.Usage(); u.Bytes != 100 || u.Files != 2 {
		t.Errorf("%+v is counted", u)
	}
}

// TestDescriptorsAreRaced has many threads use and close the same descriptors at once.
func TestDescriptorsAreRaced(t *testing.T) {
	dir := t.TempDir()
	g := contract.StartFiles(t, startFiles, dir, storage.Limits{MaxBytes: 1 << 20, MaxFiles: 10})
	g.Must(contract.FileRequest{Do: "race", Path: "/data", Size: 100})
	g.Must(contract.FileRequest{Do: "write", Path: "/data/after", Text: "works"})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if u := g.Usage(); u.Bytes != bytes || u.Files != int64(len(entries)) {
		t.Errorf("%+v is counted, and there are %d bytes in %d files", u, bytes, len(entries))
	}
}

// TestFilesOfADeadProcess: with its process, what a function had open is closed, and what it had deleted gives room.
func TestFilesOfADeadProcess(t *testing.T) {
	dir := t.TempDir()
	v := contract.OpenVolume(t, &storage.Disks{}, dir, storage.Limits{MaxBytes: 1000, MaxFiles: 10})
	i := startFiles(t, runtime.Options{Function: "files", Limits: limits.Limits{Memory: 64 << 20},
		Storage: []runtime.Storage{{Path: "/data", Volume: v}}})
	defer i.Close(context.Background())
	do := func(r contract.FileRequest) error {
		t.Helper()
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err = i.Invoke(ctx, &countersign.Invocation{ID: "test", Body: body})
		return err
	}
	for _, r := range []contract.FileRequest{{Do: "keep", Path: "/data/a", Size: 100}, {Do: "write-kept", Size: 1000},
		{Do: "remove", Path: "/data/a"}} {
		if err := do(r); err != nil {
			t.Fatal(err)
		}
	}
	if u := v.Usage(); u.Bytes != 1000 || u.Files != 0 {
		t.Errorf("%+v is counted", u)
	}
	if err := do(contract.FileRequest{Do: "exit"}); countersign.CodeOf(err) != countersign.CodeExited {
		t.Errorf("the call that ended it: %v", err)
	}
	if u := v.Usage(); u.Bytes != 0 {
		t.Errorf("%+v is counted after its end", u)
	}
	if err := do(contract.FileRequest{Do: "write", Path: "/data/b", Size: 1000}); err != nil {
		t.Error(err)
	}
	if u := v.Usage(); u.Bytes != 1000 || u.Files != 1 {
		t.Errorf("%+v is counted for the next process", u)
	}
}

// TestStuckDisk has a call wait for a disk that does not answer: a file whose opening nobody permits. That call ends at its deadline
// and its process with it, the next process serves what is on other disks, and the instance can be closed.
func TestStuckDisk(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	stuck := filepath.Join(dir, "stuck")
	if err := os.WriteFile(stuck, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var disks storage.Disks
	limit := storage.Limits{MaxFiles: 10}
	i := startFiles(t, runtime.Options{Function: "files", Limits: limits.Limits{Memory: 64 << 20}, Storage: []runtime.Storage{
		{Path: "/data", Volume: contract.OpenVolume(t, &disks, dir, limit)},
		{Path: "/other", Volume: contract.OpenVolume(t, &disks, other, limit)}}})
	do := func(timeout time.Duration, r contract.FileRequest) error {
		t.Helper()
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, err = i.Invoke(ctx, &countersign.Invocation{ID: "test", Body: body})
		return err
	}
	if err := do(time.Minute, contract.FileRequest{Do: "keep", Path: "/data/kept"}); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if err != nil {
		t.Skipf("nothing holds up the opening of a file here: %v", err)
	}
	release := sync.OnceFunc(func() { unix.Close(watch) }) // permits what waits
	defer release()
	if err := unix.FanotifyMark(watch, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM, unix.AT_FDCWD, stuck); err != nil {
		t.Skipf("nothing holds up the opening of a file here: %v", err)
	}
	if err := do(time.Second, contract.FileRequest{Do: "read", Path: "/data/stuck"}); countersign.CodeOf(err) != countersign.CodeDeadline {
		t.Errorf("the call that waits for the disk: %v", err)
	}
	if err := do(time.Minute, contract.FileRequest{Do: "write", Path: "/other/file"}); err != nil {
		t.Errorf("a call that does not: %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- i.Close(context.Background()) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the instance can't be closed")
		release()
		<-closed
	}
}
