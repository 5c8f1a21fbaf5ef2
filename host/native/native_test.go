package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// probe is the function of testdata/guests/probe, contractGuest and filesGuest those of host/runtime/contract, and shim the path of
// testdata/shim, compiled once for all tests.
var (
	probe, contractGuest, filesGuest []byte
	shim                             string
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == ShimCommand {
		os.Exit(shimOfOneLayer(os.Args[2:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-native-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the guest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	shim = filepath.Join(dir, "shim")
	err = build(".", "./testdata/shim", shim)
	for guest, into := range map[string]*[]byte{
		"testdata/guests/probe": &probe, "../runtime/contract/testdata/guest": &contractGuest,
		"../runtime/contract/testdata/guest/files": &filesGuest,
	} {
		file := filepath.Join(dir, filepath.Base(guest))
		err = errors.Join(err, build(guest, ".", file))
		if err == nil {
			*into, err = os.ReadFile(file)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir, pkg, file string) error {
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, pkg)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// limited are the options of a function with limits.
func limited(l limits.Limits) Options { return named("", l) }

// named are the options of a function with a name and limits.
func named(function string, l limits.Limits) Options {
	return Options{Options: runtime.Options{Function: function, Limits: l}}
}

func start(t testing.TB, o Options) *Instance {
	t.Helper()
	o.Function, o.Shim = "probe", shim
	if o.Memory == 0 {
		o.Memory = 64 << 20
	}
	i, err := Start(probe, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := i.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return i
}

type request struct {
	Try  string `json:"try"`
	Arg  string `json:"arg"`
	Size int    `json:"size"`
}

type reply struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Text   string `json:"text"`
	Caller string `json:"caller"`
}

func invoke(t testing.TB, i *Instance, timeout time.Duration, r request) (reply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	in := &countersign.Invocation{ID: "test", Caller: "spiffe://countersign.local/client/me", Body: body}
	out, err := i.Invoke(ctx, in)
	if err != nil {
		return reply{}, err
	}
	var got reply
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got, nil
}

func mustWork(t testing.TB, i *Instance) {
	t.Helper()
	if got, err := invoke(t, i, 30*time.Second, request{Try: "sleep"}); err != nil || !got.OK {
		t.Fatalf("a function that should work answers %+v, %v", got, err)
	}
}

func wantCode(t testing.TB, err error, want countersign.Code, reason string) {
	t.Helper()
	var failure *countersign.CallError
	if !errors.As(err, &failure) || failure.Code != want || !strings.Contains(failure.Reason, reason) {
		t.Fatalf("got %v, want code %s with %q", err, want, reason)
	}
}

func TestSandbox(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	i := start(t, Options{})
	for _, r := range []request{
		{Try: "read", Arg: "/etc/passwd"}, {Try: "read", Arg: secret}, {Try: "read", Arg: "/proc/self/environ"},
		{Try: "read", Arg: "/proc/1/root/etc/passwd"}, {Try: "list", Arg: "/"}, {Try: "list", Arg: "/proc"},
		{Try: "stat", Arg: "/etc"}, {Try: "write", Arg: "/new"}, {Try: "write", Arg: secret}, {Try: "write", Arg: "/tmp/new"},
		{Try: "memfd"}, {Try: "connect", Arg: listener.Addr().String()}, {Try: "listen", Arg: "127.0.0.1"}, {Try: "bind", Size: 8080},
		{Try: "socket", Size: 1}, {Try: "socket", Size: 2}, {Try: "socket", Size: 16}, {Try: "socket", Size: 40},
		{Try: "execute", Arg: "/bin/sh"}, {Try: "execute", Arg: "/proc/self/exe"}, {Try: "fork"},
		{Try: "signal", Size: os.Getpid()}, {Try: "signal", Size: -1}, {Try: "trace"}, {Try: "mount"}, {Try: "hostname"},
		{Try: "root"}, {Try: "executable memory"}, {Try: "protect"}, {Try: "descriptors"},
	} {
		t.Run(r.Try+r.Arg, func(t *testing.T) {
			got, err := invoke(t, i, 30*time.Second, r)
			if err != nil {
				t.Fatal(err)
			}
			if got.OK || got.Error == "" || strings.Contains(got.Error, "no such thing to try") {
				t.Errorf("it could: %+v", got)
			}
		})
	}
	got, err := invoke(t, i, 30*time.Second, request{Try: "environment"})
	if want := "probe COUNTERSIGN_SOCKET_FD=3 GOMEMLIMIT=60397974"; err != nil || got.Text != want {
		t.Errorf("arguments and environment are %q, %v; want %q", got.Text, err, want)
	}
}

// TestSandboxOfTheProcess looks at the function's process from outside.
func TestSandboxOfTheProcess(t *testing.T) {
	i := start(t, Options{})
	mustWork(t, i)
	dir := fmt.Sprintf("/proc/%d/", i.current.cmd.Process.Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000",
		"CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "CapInh:\t0000000000000000"} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("the status has no %q:\n%s", want, status)
		}
	}
	if os.Getuid() == 0 && !bytes.Contains(status, []byte("\nUid:\t65534\t65534\t65534\t65534\n")) {
		t.Errorf("a function of a host that is root is somebody else than nobody:\n%s", status)
	}
	limits, err := os.ReadFile(dir + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Max file size 0 0", "Max core file size 0 0", "Max open files 64 64", "Max locked memory 0 0"} {
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), want) {
			t.Errorf("the limits have no %q:\n%s", want, limits)
		}
	}
	for _, kind := range []string{"user", "pid", "net", "ipc", "uts", "mnt"} {
		theirs, err := os.Readlink(dir + "ns/" + kind)
		ours, err2 := os.Readlink("/proc/self/ns/" + kind)
		if err := errors.Join(err, err2); err != nil || theirs == ours {
			t.Errorf("%s namespace %s, ours is %s, %v", kind, theirs, ours, err)
		}
	}
}

func TestFaults(t *testing.T) {
	i := start(t, limited(limits.Limits{MaxReply: 1 << 20}))
	tests := []struct {
		name    string
		request request
		timeout time.Duration
		code    countersign.Code
		reason  string
	}{
		{"panic", request{Try: "panic"}, time.Minute, countersign.CodePanicked, "deliberate"},
		{"panic in a goroutine", request{Try: "goroutine panic"}, time.Minute, countersign.CodePanicked, "in a goroutine"},
		{"exit", request{Try: "exit", Size: 7}, time.Minute, countersign.CodeExited, "status 7"},
		{"busy loop", request{Try: "loop"}, 200 * time.Millisecond, countersign.CodeDeadline, ""},
		{"waits for its context", request{Try: "wait"}, 200 * time.Millisecond, countersign.CodeDeadline, ""},
		{"allocates for ever", request{Try: "allocate"}, time.Minute, countersign.CodeOutOfMemory, ""},
		{"no frame", request{Try: "garbage"}, time.Minute, countersign.CodeBroken, "frame"},
		{"huge reply", request{Try: "huge", Size: 2 << 20}, time.Minute, countersign.CodeTooLarge, "1048576"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := invoke(t, i, tt.timeout, tt.request)
			wantCode(t, err, tt.code, tt.reason)
			mustWork(t, i)
		})
	}
	s := i.Usage()
	if s.OOMs != 1 || s.Failures != int64(len(tests)) || s.CPU == 0 || s.MemoryMax == 0 || s.Sandboxes != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestMemoryThatIsNotUsed maps so much memory that the kernel refuses more, and touches none of it: the host's look at
// what is used finds nothing.
func TestMemoryThatIsNotUsed(t *testing.T) {
	i := start(t, Options{})
	for n := range int64(3) {
		_, err := invoke(t, i, time.Minute, request{Try: "reserve"})
		wantCode(t, err, countersign.CodeOutOfMemory, "")
		if got := i.Usage().OOMs; got != n+1 {
			t.Fatalf("%d calls ended for want of memory, and %d are counted", n+1, got)
		}
	}
}

type callerFunc func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error)

func (f callerFunc) Call(ctx context.Context, in *countersign.Invocation, callee string, req []byte) ([]byte, error) {
	return f(ctx, in, callee, req)
}

func TestCalls(t *testing.T) {
	i := start(t, Options{Options: runtime.Options{Limits: limits.Limits{Concurrency: 8}, Caller: callerFunc(
		func(_ context.Context, parent *countersign.Invocation, callee string, req []byte) ([]byte, error) {
			if parent.ID != "test" || callee != "other" {
				return nil, errors.New("secret of the platform")
			}
			if string(req) == `"refuse"` {
				return nil, countersign.Errorf(countersign.CodeNotPermitted, callee, "no")
			}
			return req, nil
		})}})
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			text := fmt.Sprintf("call %d", n)
			got, err := invoke(t, i, 30*time.Second, request{Try: "call", Arg: text})
			if err != nil || got.Text != text || got.Caller != "spiffe://countersign.local/client/me" {
				t.Errorf("call %d: %+v, %v", n, got, err)
			}
		})
	}
	wg.Wait()
	got, err := invoke(t, i, 30*time.Second, request{Try: "call", Arg: "refuse"})
	if err != nil || got.Error != `call of function "other": not_permitted: no` {
		t.Errorf("a refused call: %+v, %v", got, err)
	}
}

func TestDescribe(t *testing.T) {
	doc, err := Describe(context.Background(), probe, shim)
	for _, want := range []string{`"function":"probe"`, `"other":{"reply":{`} {
		if err != nil || !bytes.Contains(doc, []byte(want)) {
			t.Errorf("got %s, %v, without %s", doc, err, want)
		}
	}
}

func TestExecutablesThatAreRefused(t *testing.T) {
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(probe)
	foreign[18] = 0xf3 // RISC-V
	images := map[string][]byte{"empty": nil, "script": []byte("#!/bin/sh\n"), "dynamic": sh, "foreign": foreign}
	for name, image := range images {
		t.Run(name, func(t *testing.T) {
			_, err := Start(image, named("bad", limits.Limits{Memory: 64 << 20}))
			var refused *ExecutableError
			if !errors.As(err, &refused) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestShimThatDies has a program as the shim that says nothing and ends.
func TestShimThatDies(t *testing.T) {
	o := named("probe", limits.Limits{Memory: 64 << 20})
	o.Shim = "/bin/true"
	i, err := Start(probe, o)
	if err == nil || !strings.Contains(err.Error(), "did not become the function") {
		t.Errorf("got %v, %v", i, err)
	}
}

func TestRefusalReachesTheHost(t *testing.T) {
	failure := shimFailure([]byte(`{"Feature":"seccomp","Detail":"not in this kernel"}`))
	var refused *UnsupportedError
	if !errors.As(failure, &refused) || refused.Feature != "seccomp" {
		t.Errorf("got %v", failure)
	}
	if err := shimFailure([]byte("\n")); err != nil {
		t.Errorf("a shim that became the function reported %v", err)
	}
	if err := shimFailure([]byte("panic: ")); err == nil {
		t.Error("a shim that died reported nothing")
	}
}

// TestDeniedIsExplained: the function's log tells what was denied, and which kind of tag would be needed.
func TestDeniedIsExplained(t *testing.T) {
	var log bytes.Buffer
	i := start(t, Options{Options: runtime.Options{Stderr: &log}})
	for _, r := range []request{{Try: "failing read", Arg: "/etc/passwd"}, {Try: "failing connect", Arg: "127.0.0.1:9"}} {
		if _, err := invoke(t, i, 30*time.Second, r); countersign.CodeOf(err) != countersign.CodeFailed {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if err := i.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Z - function probe was denied: open /etc/passwd: operation not permitted: no storage tag (io) of its spec",
		"Z - function probe was denied: dial tcp 127.0.0.1:9: ", ": no network tag (io) of its spec",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log is %q, without %q", log.String(), want)
		}
	}
}
