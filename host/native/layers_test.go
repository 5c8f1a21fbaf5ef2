package native

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"

	"golang.org/x/sys/unix"
)

// shimOfOneLayer is the shim with the one layer that the function is named after, or with none if it has another name.
// Descriptors are closed in any case: that the shim's is tells the host that it stands.
func shimOfOneLayer(args []string) int {
	var config shimConfig
	if json.Unmarshal([]byte(args[0]), &config) != nil {
		return 2
	}
	if config.Function == idle {
		if os.NewFile(statusFD, "status").Close() != nil {
			return 2
		}
		time.Sleep(time.Minute)
	}
	whole := sandbox
	sandbox = func(c shimConfig) []layer {
		return slices.DeleteFunc(whole(c), func(l layer) bool { return l.feature != config.Function && l.feature != "file descriptors" })
	}
	return Shim(args)
}

// idle is the name of a function whose shim says that the sandbox stands, and goes on by itself.
const idle = "idle"

// TestShimThatGoesOn has a program as the shim that does not become the function.
func TestShimThatGoesOn(t *testing.T) {
	o := named(idle, limits.Limits{Memory: 64 << 20})
	o.Shim = os.Args[0]
	i, err := Start(probe, o)
	if err == nil || !strings.Contains(err.Error(), "did not become the function") {
		t.Errorf("got %v, %v", i, err)
	}
	if i != nil {
		i.Close(t.Context())
	}
}

// startWith starts the function with one layer of the sandbox, or none.
func startWith(t *testing.T, layer string) *Instance {
	t.Helper()
	i, err := Start(probe, Options{Options: runtime.Options{Function: layer, Limits: limits.Limits{Memory: 64 << 20}}, Shim: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return i
}

// holds tries things with one layer alone, and with none: what the layer is for fails with it, and not without.
func holds(t *testing.T, layer, with string, tries ...request) {
	t.Helper()
	for _, on := range []bool{true, false} {
		name := layer
		if !on {
			name = "none"
		}
		i := startWith(t, name)
		for _, r := range tries {
			got, err := invoke(t, i, time.Minute, r)
			if err != nil {
				t.Fatal(err)
			}
			if got.OK == on || on && !strings.Contains(got.Error, with) {
				t.Errorf("with layer %s: %+v gives %+v", name, r, got)
			}
		}
	}
}

// readable is a file that everybody on this machine may read, in a directory that everybody may search.
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "countersign-layer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLandlockAlone(t *testing.T) {
	file := readable(t)
	holds(t, "Landlock", "permission denied", request{Try: "read", Arg: file}, request{Try: "read", Arg: "/etc/passwd"},
		request{Try: "list", Arg: filepath.Dir(file)}, request{Try: "bind", Size: 8080})
}

func TestEmptyRootAlone(t *testing.T) {
	file := readable(t)
	holds(t, "mount namespace", "no such file", request{Try: "read", Arg: file}, request{Try: "read", Arg: "/etc/passwd"},
		request{Try: "stat", Arg: "/etc"}, request{Try: "list", Arg: "/etc"}, request{Try: "list", Arg: ".." + filepath.Dir(file)})
}

func TestRootIsReadOnly(t *testing.T) {
	got, err := invoke(t, startWith(t, "mount namespace"), time.Minute, request{Try: "write", Arg: "/new"})
	if err != nil || got.OK || !strings.Contains(got.Error, "read-only") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSeccompAlone(t *testing.T) {
	file := readable(t)
	holds(t, "seccomp", "operation not permitted", request{Try: "read", Arg: file}, request{Try: "bind", Size: 8080},
		request{Try: "socket", Size: unix.AF_UNIX}, request{Try: "executable memory"}, request{Try: "protect"},
		request{Try: "hostname"}, request{Try: "mount"})
}

// TestFilterLooksAtArguments tries system calls that are allowed with other arguments. Behind the filter they fail, too,
// with another error.
func TestFilterLooksAtArguments(t *testing.T) {
	i := startWith(t, "seccomp")
	tries := []request{{Try: "clone", Size: int(unix.SIGCHLD)}, {Try: "clone", Size: unix.SYS_MMAP}, {Try: "clone", Size: unix.SYS_MPROTECT},
		{Try: "execute descriptor", Arg: fmt.Sprint(shimFD, unix.AT_EMPTY_PATH)},
		{Try: "execute descriptor", Arg: fmt.Sprint(executableFD, 0)}, {Try: "execute descriptor", Arg: fmt.Sprint(unix.AT_FDCWD, 0)}}
	for _, namespace := range []int{unix.CLONE_NEWUSER, unix.CLONE_NEWPID, unix.CLONE_NEWNET, unix.CLONE_NEWNS, unix.CLONE_NEWIPC,
		unix.CLONE_NEWUTS, unix.CLONE_NEWCGROUP} {
		tries = append(tries, request{Try: "clone", Size: unix.CLONE_THREAD | namespace})
	}
	for _, r := range tries {
		got, err := invoke(t, i, time.Minute, r)
		if err != nil || got.Error != "operation not permitted" {
			t.Errorf("%+v: %+v, %v", r, got, err)
		}
	}
	got, err := invoke(t, i, time.Minute, request{Try: "clone", Size: unix.CLONE_THREAD})
	if err != nil || got.Error != "invalid argument" {
		t.Errorf("a thread does not pass the filter: %+v, %v", got, err)
	}
}

// TestMemoryFileIsSealed tries to change an executable after it was verified, and its seals.
func TestMemoryFileIsSealed(t *testing.T) {
	f, err := memoryFile("probe", probe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for what, change := range map[string]func() error{
		"written":  func() error { _, err := f.WriteAt([]byte{0}, 0); return err },
		"shrunk":   func() error { return f.Truncate(1) },
		"extended": func() error { return f.Truncate(int64(len(probe)) + 1) },
		"sealed further": func() error {
			_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
			return err
		},
		"mapped to write": func() error {
			m, err := unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err == nil {
				err = unix.Munmap(m)
				return err
			}
			return err
		},
	} {
		if change() == nil {
			t.Errorf("it can be %s", what)
		}
	}
}

// TestAnswersThatNobodyAskedFor has a function answer on a stream of its own choice.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	c := newConnection(nil, nil)
	reply := frame.AppendReply(nil, 7, frame.Reply{Body: []byte("1")})
	if err := c.handle(bufio.NewReader(bytes.NewReader(reply)), int64(len(reply))); err == nil {
		t.Error("it is no breach of the convention")
	}
}

// TestCallsOutsideOfACall has a function make calls while it describes itself, and for a call that it never got.
func TestCallsOutsideOfACall(t *testing.T) {
	called := false
	caller := callerFunc(func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) {
		called = true
		return nil, nil
	})
	owner := &Instance{options: Options{Options: runtime.Options{Caller: caller}}, held: limits.NewMemory(1<<20, nil)}
	c := newConnection(&process{owner: owner}, nil)
	c.asked[1] = &question{ctx: t.Context()} // describe
	for _, parent := range []uint32{1, 2} {
		served := make(chan error, 1)
		go func() {
			served <- c.serve(9, frame.Call{Parent: parent, Callee: "other", Body: []byte("1")}, take(owner.held, 1))
		}()
		_, rest, err := frame.ParseHeader((<-c.outgoing).head[4:])
		if err := errors.Join(err, <-served); err != nil {
			t.Fatal(err)
		}
		if reply, err := frame.ParseReply(rest); err != nil || reply.Code != string(countersign.CodeCanceled) || called {
			t.Errorf("parent %d: %+v, %v; called %v", parent, reply, err, called)
		}
		c.serving.Wait()
	}
}

// TestCallsOfAFunctionAreBounded has a function with as many calls under way as it may have, and one on each stream.
func TestCallsOfAFunctionAreBounded(t *testing.T) {
	owner := &Instance{held: limits.NewMemory(1<<20, nil)}
	c := newConnection(&process{owner: owner}, nil)
	c.asked[1] = &question{ctx: t.Context(), in: &countersign.Invocation{}}
	c.calling[9] = func() {}
	if err := c.serve(9, frame.Call{Parent: 1, Callee: "other"}, take(owner.held, 1)); err == nil {
		t.Error("two calls on one stream are no breach of the convention")
	}
	if c.crowded() {
		t.Error("one call is as many as it may have")
	}
	for n := range uint32(limits.Calls) {
		c.calling[100+n] = func() {}
	}
	if !c.crowded() {
		t.Errorf("%d calls are under way, and one more would be made", len(c.calling))
	}
	if held := owner.held.Used(); held != 0 {
		t.Errorf("%d bytes are held for calls that were not made", held)
	}
}
