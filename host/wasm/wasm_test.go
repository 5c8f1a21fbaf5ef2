package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/interfaces"
)

func TestInvoke(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	body, err := invoke(adder, 30*time.Second, `{"terms":[1,2,39],"unknown":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"sum":42,"caller":"spiffe://countersign.local/client/test"}`; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	_, err = invoke(adder, 30*time.Second, `{"terms":[]}`)
	if failure := wantCode(t, err, countersign.CodeFailed); failure.Reason != "nothing to add" {
		t.Errorf("reason %q", failure.Reason)
	}
	s := adder.Usage()
	if s.Calls != 2 || s.Failures != 1 || s.Sandboxes != 1 || s.MemoryBytes == 0 || s.CPU == 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestInvokeLargeAndConcurrent(t *testing.T) {
	echo := loadGuest(t, "echo", limited(limits.Limits{Concurrency: 4, Memory: 256 << 20}))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for _, size := range []int{1, 5000, 3 << 20, 10} {
				body := fmt.Sprintf(`{"text":%q}`, strings.Repeat(string(rune('a'+n)), size))
				got, err := invoke(echo, 60*time.Second, body)
				if err != nil || string(got) != body {
					t.Errorf("call %d with %d bytes: got %d bytes, %v", n, size, len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if s := echo.Usage(); s.Sandboxes > 4 {
		t.Errorf("%d sandboxes with a concurrency of 4", s.Sandboxes)
	}
}

type callerReply struct {
	Replies []json.RawMessage `json:"replies"`
	Code    countersign.Code  `json:"code"`
	Message string            `json:"message"`
}

func TestCalls(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	var parents []string
	var mu sync.Mutex
	caller := loadGuest(t, "caller", calling(
		func(ctx context.Context, parent *countersign.Invocation, callee string, req []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			parents = append(parents, parent.ID+" "+callee)
			if callee != "adder" {
				return nil, errors.New("secret of the platform")
			}
			return adder.Invoke(ctx, invocation(string(req)))
		}))
	tests := []struct {
		name, body, want string
	}{
		{"reply", `{"callee":"adder","request":{"terms":[2,3]}}`, `"sum":5`},
		{"two at once", `{"callee":"adder","request":{"terms":[3,3]},"twice":true}`, `"sum":6`},
		{"error of the callee", `{"callee":"adder","request":{}}`, `"code":"failed","message":"nothing to add"`},
		{"error of the platform", `{"callee":"faults","request":{}}`,
			`"code":"internal","message":"the call could not be made"`},
		{"context of an earlier call", `{"callee":"adder","request":{},"late":true}`, `"code":"canceled"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, err := invoke(caller, 30*time.Second, tt.body)
			if err != nil || !strings.Contains(string(body), tt.want) {
				t.Errorf("got %s, %v; want %s", body, err, tt.want)
			}
		})
	}
	if got, want := fmt.Sprint(parents), "[test adder test adder test adder test adder test faults]"; got != want {
		t.Errorf("calls were made as %s, want %s", got, want)
	}
}

func TestCallDeadlineIsTheEarlier(t *testing.T) {
	var left time.Duration
	caller := loadGuest(t, "caller", calling(
		func(ctx context.Context, _ *countersign.Invocation, _ string, _ []byte) ([]byte, error) {
			at, _ := ctx.Deadline()
			left = time.Until(at)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	body, err := invoke(caller, 30*time.Second, `{"callee":"adder","request":{},"timeout":100000000}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[callerReply](t, body); got.Code != countersign.CodeDeadline {
		t.Errorf("got %+v", got)
	}
	if left > 100*time.Millisecond {
		t.Errorf("the callee had %v left", left)
	}
}

func TestNoCallerMeansNotPermitted(t *testing.T) {
	caller := loadGuest(t, "caller", Options{})
	body, err := invoke(caller, 30*time.Second, `{"callee":"adder","request":{}}`)
	if err != nil || decode[callerReply](t, body).Code != countersign.CodeNotPermitted {
		t.Errorf("got %s, %v", body, err)
	}
}

// stuckWriter blocks until it is released.
type stuckWriter struct {
	release chan struct{}
	bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.Buffer.Write(p)
}

func TestStuckReaderDoesNotHoldUpTheFunction(t *testing.T) {
	stuck := &stuckWriter{release: make(chan struct{})}
	faults := loadGuest(t, "faults", Options{Options: runtime.Options{Stdout: stuck}})
	if _, err := invoke(faults, 60*time.Second, `{"fault":"print","size":20000}`); err != nil {
		t.Fatal(err)
	}
	if dropped := faults.Usage().DroppedOutput; dropped == 0 {
		t.Error("nothing was dropped")
	}
	close(stuck.release)
	if err := faults.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	out := stuck.String()
	if !strings.Contains(out[:min(100, len(out))], " test line 0 of") || !strings.Contains(out, "bytes of output were dropped") {
		t.Errorf("the output of %d bytes does not tell what was dropped: %.200q", len(out), out)
	}
}

func TestNothingOfTheHostIsVisible(t *testing.T) {
	t.Setenv("SECRET", "do not tell")
	faults := loadGuest(t, "faults", Options{})
	body, err := invoke(faults, 30*time.Second, `{"fault":"environment"}`)
	if err != nil {
		t.Fatal(err)
	}
	text := decode[faultReply](t, body).Text
	if !strings.HasPrefix(text, "[faults] [] open /etc/passwd:") || strings.Contains(text, "<nil>") {
		t.Errorf("a function sees %s", text)
	}
}

func TestDescribe(t *testing.T) {
	doc, err := Describe(context.Background(), guests["caller"])
	if err != nil {
		t.Fatal(err)
	}
	again, err := Describe(context.Background(), guests["caller"])
	if err != nil || !bytes.Equal(doc, again) {
		t.Errorf("described again: %s, %v", again, err)
	}
	got, err := interfaces.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	if got.Function != "caller" || len(got.Calls) != 2 || got.Calls["adder"] == nil || got.Calls["adder"].Reply.Kind != interfaces.KindAny {
		t.Errorf("interface document %s", doc)
	}
}

// TestEngineKeepsCompiledCode loads a module a second time where nothing can be compiled.
func TestEngineKeepsCompiledCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	for _, executable := range []string{executable, "/nowhere"} {
		e, err := NewEngine(dir)
		if err != nil {
			t.Fatal(err)
		}
		e.compiler.executable = executable
		i, err := e.Load(t.Context(), guests["echo"], named("echo", limits.Limits{Memory: 64 << 20}))
		if err != nil {
			t.Fatalf("compiling with %s: %v", executable, err)
		}
		if err := errors.Join(i.Close(context.Background()), e.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}
}

func TestEngineRefusesAnothersCache(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to somebody else")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEngine(dir); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("got %v", err)
	}
}

func TestEngineRefusesSharedCache(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEngine(dir); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("got %v", err)
	}
}

// TestLinesNameTheirCall has a call begin a line that the next call of the same sandbox must not end, and reads what a call
// was denied.
func TestLinesNameTheirCall(t *testing.T) {
	var stdout, stderr bytes.Buffer
	options := limited(limits.Limits{Concurrency: 1})
	options.Stdout, options.Stderr = &stdout, &stderr
	faults := loadGuest(t, "faults", options)
	for id, body := range map[string]string{"first": `{"fault":"begin a line"}`, "second": `{"fault":"print","size":1}`,
		"third": `{"fault":"open"}`} {
		in := invocation(body)
		in.ID = id
		if _, err := faults.Invoke(t.Context(), in); err != nil && id != "third" {
			t.Fatal(err)
		}
	}
	if err := faults.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Z first begun\n", "Z second line 0 of the standard output\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the standard output is %q, without %q", stdout.String(), want)
		}
	}
	if want := "Z third function faults was denied: reading users: open /etc/passwd: "; !strings.Contains(stderr.String(), want) ||
		!strings.Contains(stderr.String(), "no storage tag (io) of its spec") {
		t.Errorf("the standard error is %q, without %q", stderr.String(), want)
	}
}
