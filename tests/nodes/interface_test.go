//go:build integration

package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/client"
	build "countersign/pipeline/load"
)

// shape is how shop and stock agree to talk: the types of stock's API, how shop fills the request and reads the reply, and
// how stock answers. Whatever it is, shop says "4 of tea" when it is asked for 2 of tea.
type shape struct{ request, reply, ask, read, answer string }

// shapes change names, types, and what is optional. Some of them fit each other, most do not, and each that does not gives
// a wrong answer without an error when caller and callee of different shapes meet: a field that is not there is zero.
var shapes = map[string]shape{
	"first": {"Item string `json:\"item\"`; N int `json:\"n\"`", "Text string `json:\"text\"`",
		`stock.Request{Item: item, N: n}`, `reply.Text`, `stock.Reply{Text: fmt.Sprintf("%d of %s", 2*r.N, r.Item)}`},
	"a name is changed": {"Item string `json:\"item\"`; N int `json:\"n\"`", "Text string `json:\"message\"`",
		`stock.Request{Item: item, N: n}`, `reply.Text`, `stock.Reply{Text: fmt.Sprintf("%d of %s", 2*r.N, r.Item)}`},
	"a field is added": {"Item string `json:\"item\"`; N int `json:\"n\"`; Note string `json:\"note,omitempty\"`",
		"Text string `json:\"text\"`; Lang string `json:\"lang,omitempty\"`",
		`stock.Request{Item: item, N: n}`, `reply.Text`, `stock.Reply{Text: fmt.Sprintf("%d of %s", 2*r.N, r.Item), Lang: "en"}`},
	"a type is changed": {"Item string `json:\"item\"`; N int `json:\"n\"`", "Text []string `json:\"text\"`",
		`stock.Request{Item: item, N: n}`, `reply.Text[0]`, `stock.Reply{Text: []string{fmt.Sprintf("%d of %s", 2*r.N, r.Item)}}`},
	"the request is another": {"Name string `json:\"name\"`; Half int `json:\"half\"`", "Text string `json:\"text\"`",
		`stock.Request{Name: item, Half: 2 * n}`, `reply.Text`, `stock.Reply{Text: fmt.Sprintf("%d of %s", r.Half, r.Name)}`},
}

const stockAPI = `package stock
import "countersign.internal/sdk"
type Request struct { %s }
type Reply struct { %s }
var Count = sdk.Define[Request, Reply]("stock")
`

const stockMain = `package main
import ("context"; "fmt"; "countersign.internal/sdk"; "example.test/stock")
func init() { sdk.Handle(stock.Count, func(_ context.Context, r stock.Request) (stock.Reply, error) { return %s, nil }) }
func main() { sdk.Main() }
`

const shopMain = `package main
import ("context"; "countersign.internal/sdk"; "example.test/stock")
type Request struct { Item string ` + "`json:\"item\"`" + `; N int ` + "`json:\"n\"`" + ` }
type Reply struct { Text string ` + "`json:\"text\"`" + ` }
var Shop = sdk.Define[Request, Reply]("shop")
func init() {
	sdk.Handle(Shop, func(ctx context.Context, r Request) (Reply, error) {
		item, n := r.Item, r.N
		reply, err := stock.Count.Call(ctx, %s)
		if err != nil { return Reply{}, err }
		return Reply{Text: %s}, nil
	})
}
func main() { sdk.Main() }
`

const spec = `function %q {
  calls = [%s]
  resources {
    memory      = "64MiB"
    concurrency = 4
  }
  scaling {
    min = 2
    max = 4
  }
  call {
    timeout    = "5s"
    idempotent = true
  }
  ingress {
    http = true
    auth = "signed"
  }
}
`

// shop builds shop and stock in a shape and returns the manifest to deploy them by.
func shop(t *testing.T, name string) string {
	t.Helper()
	s, dir := shapes[name], t.TempDir()
	write := func(path, format string, args ...any) string {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("go.mod", "module example.test\ngo 1.24\nrequire countersign.internal/sdk v0.0.0\nreplace countersign.internal/sdk => %s\n", filepath.Join(h.Checkout, "sdk"))
	write("stock/api.go", stockAPI, s.request, s.reply)
	write("cmd/stock/main.go", stockMain, s.answer)
	write("cmd/shop/main.go", shopMain, s.ask, s.read)
	var m build.Manifest
	for function, calls := range map[string]string{"stock": "", "shop": `"stock"`} {
		wasm := filepath.Join(dir, function+".wasm")
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", wasm, "./cmd/"+function)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s, where %s: %v\n%s", function, name, err, out)
		}
		m.Functions = append(m.Functions, build.Built{Name: function, Target: "@" + function + "//:" + function, Runtime: "wasm", Wasm: wasm,
			Spec: write(function+".hcl", spec, function, calls), Repository: "https://git.example/" + function,
			Commit: strings.Repeat(fmt.Sprintf("%x", len(name)%16), 40), Ref: "HEAD"})
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return write("manifest.json", "%s", text)
}

// wrong is what calls of shop came to that did not give the right answer.
type wrong struct {
	mu    sync.Mutex
	calls int
	list  []string
}

// shopping calls shop all the time, until the returned function is called.
func shopping(t *testing.T, w *wrong) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		c := newClient(t, fmt.Sprint("shopper-", i))
		c.Explain, c.Idempotent = false, true
		var known []string
		asked := time.Time{}
		c.Nodes = func(context.Context, string) ([]string, error) {
			if time.Since(asked) > time.Second {
				known, asked = nil, time.Now()
				for _, at := range instances(t, "shop") {
					known = append(known, at.address)
				}
			}
			return known, nil
		}
		wg.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				w.one(c, n%97)
				time.Sleep(20 * time.Millisecond) // 200 calls a second of all four, at most
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func (w *wrong) one(c *client.Client, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := c.Call(ctx, "shop", fmt.Appendf(nil, `{"item":"tea","n":%d}`, n))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if err != nil {
		w.list = append(w.list, time.Now().Format("15:04:05.000 ")+err.Error())
	} else if want := fmt.Sprintf(`{"text":"%d of tea"}`, 2*n); string(answer.Body) != want {
		w.list = append(w.list, time.Now().Format("15:04:05.000 ")+string(answer.Body)+", want "+want)
	}
}

// TestChangesOfTypesUnderLoad deploys shop and stock in one shape after the other, at once, as canaries that are promoted or
// aborted, and interrupted, and rolls back and forward: there is no wrong answer and no failed call.
func TestChangesOfTypesUnderLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	manifests := map[string]string{}
	var names []string
	for name := range shapes {
		manifests[name] = shop(t, name)
		names = append(names, name)
	}
	deploy := func(name string, flags ...string) {
		t.Helper()
		args := append([]string{"deploy", "-manifest", manifests[name], "-jobs-dir", filepath.Join(h.Scratch, "jobs")}, flags...)
		out, code := h.Command(t, "", args...)
		if t.Logf("%s", out); code != 0 {
			t.Fatalf("%s: exit code %d", name, code)
		}
	}
	deploy("first")
	repos := filepath.Join(t.TempDir(), "repos.bzl")
	if err := os.WriteFile(repos, []byte("FUNCTIONS = {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at, w := "first", &wrong{}
	stop := shopping(t, w)
	defer stop()
	began := time.Now()
	kinds := []string{[]string{"deploy", "interrupted"}[random.IntN(2)], "promote", "abort"}
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		next := at
		for next == at {
			next = names[random.IntN(len(names))]
		}
		t.Logf("%s: from %q to %q: %s", time.Since(began).Round(time.Second), at, next, kind)
		if kind == "interrupted" {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second+time.Duration(random.Int64N(int64(12*time.Second))))
			cut := exec.CommandContext(ctx, h.CLI, "deploy", "-manifest", manifests[next], "-jobs-dir", filepath.Join(h.Scratch, "jobs"))
			cut.Env, cut.Cancel = h.Environ(), func() error { return cut.Process.Signal(os.Interrupt) }
			out, err := cut.CombinedOutput()
			cancel()
			t.Logf("interrupted: %v\n%s", err, out)
		}
		if kind == "deploy" || kind == "interrupted" {
			deploy(next)
			at = next
			continue
		}
		deploy(next, "-canary", "30%")
		time.Sleep(2 * time.Second)
		if out, code := h.Command(t, "", kind); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", kind, code, out)
		}
		if kind == "promote" {
			at = next
		}
	}
	for _, args := range [][]string{{"rollback"}, {"rollforward"}} {
		t.Logf("%s: %s", time.Since(began).Round(time.Second), args)
		out, code := h.Command(t, "", append(args, "-repos", repos, "-jobs-dir", filepath.Join(h.Scratch, "jobs"))...)
		if t.Logf("%s", out); code != 0 {
			t.Fatalf("%s: exit code %d", args, code)
		}
	}
	stop()
	t.Logf("%s: %d calls", time.Since(began).Round(time.Second), w.calls)
	if len(w.list) > 0 || w.calls < 100 {
		t.Errorf("of %d calls %d were not answered rightly, such as\n%s", w.calls, len(w.list), strings.Join(w.list[:min(len(w.list), 20)], "\n"))
	}
}
