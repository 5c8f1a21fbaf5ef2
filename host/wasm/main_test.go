package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// guests are the modules of testdata/guests, and contractGuest and filesGuest those of host/runtime/contract, compiled once for all
// tests; engine is theirs.
var (
	guests        = map[string][]byte{}
	contractGuest []byte
	filesGuest    []byte
	engine        *Engine
)

// raceDetector tells whether the tests run under it.
var raceDetector bool

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == CompileCommand {
		os.Exit(Compile(os.Args[2:], os.Stdin))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-wasm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the guests:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"echo", "adder", "faults", "caller", "network"} {
		if guests[name], err = buildGuest("testdata/guests/"+name, filepath.Join(dir, name+".wasm")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	contractGuest, err = buildGuest("../runtime/contract/testdata/guest", filepath.Join(dir, "contract.wasm"))
	if err == nil {
		filesGuest, err = buildGuest("../runtime/contract/testdata/guest/files", filepath.Join(dir, "files.wasm"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if raceDetector {
		// It makes compiling ten times slower, and needs more memory than the bounds leave.
		executable = filepath.Join(dir, "compiler")
		build := exec.Command("go", "test", "-c", "-o", executable, ".")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the compiler: %v\n%s", err, out)
			return 1
		}
	}
	if engine, err = NewEngine(filepath.Join(dir, "cache")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer engine.Close(context.Background())
	return m.Run()
}

func buildGuest(pkg, file string) ([]byte, error) {
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, ".")
	build.Dir = pkg
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the guest %s: %w\n%s", pkg, err, out)
	}
	return os.ReadFile(file)
}

// limited are the options of a function with limits.
func limited(l limits.Limits) Options { return named("", l) }

// named are the options of a function with a name and limits.
func named(function string, l limits.Limits) Options {
	return Options{Options: runtime.Options{Function: function, Limits: l}}
}

// calling are the options of a function whose calls f makes.
func calling(f callerFunc) Options { return Options{Options: runtime.Options{Caller: f}} }

// loadGuest loads one of the guests and closes it when the test ends.
func loadGuest(t testing.TB, name string, o Options) *Instance {
	t.Helper()
	o.Function = name
	return loadModule(t, guests[name], o)
}

func loadModule(t testing.TB, module []byte, o Options) *Instance {
	t.Helper()
	if o.Memory == 0 {
		o.Memory = 64 << 20
	}
	i, err := engine.Load(context.Background(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := i.Close(ctx); err != nil {
			t.Error(err)
		}
		if used := i.Usage().MemoryBytes; used != 0 {
			t.Errorf("%d bytes are still booked after Close", used)
		}
	})
	return i
}

// invocation is a call with a JSON body.
func invocation(body string) *countersign.Invocation {
	return &countersign.Invocation{ID: "test", Caller: "spiffe://countersign.local/client/test", Body: []byte(body)}
}

func invoke(i *Instance, timeout time.Duration, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return i.Invoke(ctx, invocation(body))
}

// untilLent waits until n calls have a sandbox, or the right to make one.
func untilLent(i *Instance, n int) {
	lent := func() int {
		i.pool.mu.Lock()
		defer i.pool.mu.Unlock()
		return i.pool.live - len(i.pool.idle)
	}
	for lent() < n {
		time.Sleep(time.Millisecond)
	}
}

// mustAdd checks that a function works: 2 + 3 is 5.
func mustAdd(t testing.TB, adder *Instance) {
	t.Helper()
	got, err := invoke(adder, 30*time.Second, `{"terms":[2,3]}`)
	if err != nil || !bytes.Contains(got, []byte(`"sum":5`)) {
		t.Fatalf("the adder answers %s, %v", got, err)
	}
}

func wantCode(t testing.TB, err error, want countersign.Code) *countersign.CallError {
	t.Helper()
	failure, ok := err.(*countersign.CallError)
	if !ok || failure.Code != want {
		t.Fatalf("got error %v, want code %s", err, want)
	}
	return failure
}

func decode[T any](t testing.TB, body []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("decoding %s: %v", body, err)
	}
	return v
}

// callerFunc is a countersign.Caller.
type callerFunc func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error)

func (f callerFunc) Call(ctx context.Context, in *countersign.Invocation, callee string, req []byte) ([]byte, error) {
	return f(ctx, in, callee, req)
}
