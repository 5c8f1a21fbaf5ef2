//go:build integration

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	vault "github.com/hashicorp/vault/api"

	"countersign"
	"countersign/cluster"
	"countersign/host/runtime/limits"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

// call calls a function with the command and returns what it printed to both streams and its exit code.
func call(t *testing.T, function, request string) (string, int) {
	t.Helper()
	return command(t, "", "call", function, request)
}

func TestQuoteCallsTaxAndFx(t *testing.T) {
	deploy(t, examples()...)
	out, code := command(t, `{"sku":"tea","quantity":2,"region":"EU","currency":"USD"}`, "call", "-explain", "quote", "-")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, want := range []string{`"currency":"USD"`, "client/", "function/quote → function/tax", "function/quote → function/fx",
		"hmac-sha256", "ed25519", "call and return"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

func TestThumbnailScales(t *testing.T) {
	deploy(t, examples()...)
	out, code := command(t, thumbnailRequest(t), "call", "thumbnail", "-")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	checkThumbnail(t, out)
}

// TestMisbehaviour calls a function that misbehaves. Each call fails with its own code, and the instance answers the
// next one.
func TestMisbehaviour(t *testing.T) {
	deploy(t, "chaos")
	for do, want := range map[string]countersign.Code{
		"panic":           countersign.CodePanicked,
		"goroutine-panic": countersign.CodePanicked,
		"loop":            countersign.CodeDeadline,
		"allocate":        countersign.CodeOutOfMemory,
		"exit":            countersign.CodeExited,
		"fail":            countersign.CodeFailed,
		"huge":            countersign.CodeTooLarge,
	} {
		t.Run(do, func(t *testing.T) {
			out, code := call(t, "chaos", `{"do":"`+do+`"}`)
			if code != 1 || !strings.Contains(out, ": "+string(want)+": ") {
				t.Errorf("exit code %d, output %q; want exit code 1 and %s", code, out, want)
			}
			if out, code := call(t, "chaos", `{"do":"behave"}`); code != 0 {
				t.Errorf("the call after it: exit code %d\n%s", code, out)
			}
		})
	}
	t.Run("request too large", func(t *testing.T) {
		out, code := call(t, "chaos", `{"do":"`+strings.Repeat("x", 8<<10)+`"}`)
		if code != 1 || !strings.Contains(out, string(countersign.CodeTooLarge)) {
			t.Errorf("exit code %d, output %q; want %s", code, out, countersign.CodeTooLarge)
		}
	})
	t.Run("not JSON", func(t *testing.T) {
		if out, code := call(t, "chaos", `{`); code != 1 || !strings.Contains(out, string(countersign.CodeBadRequest)) {
			t.Errorf("exit code %d, output %q; want %s", code, out, countersign.CodeBadRequest)
		}
	})
	t.Run("nothing to see", func(t *testing.T) {
		out, code := call(t, "chaos", `{"do":"environment"}`)
		if code != 0 || !strings.Contains(out, `env [], root [], err true`) {
			t.Errorf("exit code %d; a function sees %s", code, out)
		}
	})
}

// TestNative runs a native function: it computes, fails like any other, and sees nothing of the machine.
func TestNative(t *testing.T) {
	deploy(t, "hasher")
	for _, do := range []struct{ request, want string }{
		{`{"text":"a","rounds":100000}`, `"hash":"`},
		{`{"do":"escape"}`, `file false, directory false, network false, environment [\"COUNTERSIGN_SOCKET_FD=3\" \"GOMEMLIMIT=`},
		{`{"do":"panic"}`, ": " + string(countersign.CodePanicked) + ": "},
		{`{"do":"loop"}`, ": " + string(countersign.CodeDeadline) + ": "}, // last, since it takes calls that come now with it
	} {
		if out, _ := call(t, "hasher", do.request); !strings.Contains(out, do.want) {
			t.Errorf("%s answers %q; want %q", do.request, out, do.want)
		}
	}
	out, code := command(t, "", "verify", "hasher")
	if code != 0 || !strings.Contains(out, "VERIFIED") {
		t.Errorf("verify: exit code %d\n%s", code, out)
	}
	// A process that panicked, or was stopped, is replaced when the next call comes. One that is to be stopped may answer
	// once more before: a call has half a second after its deadline.
	time.Sleep(time.Second)
	if out, code := call(t, "hasher", `{"text":"a","rounds":1}`); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	confined(t, running(t, "hasher").ID)
}

// confined looks at the cgroups of a native function's allocation: there is a process in it, under the spec's limits.
func confined(t *testing.T, allocation string) {
	t.Helper()
	var found []string
	for _, pattern := range []string{"memory/countersign/*/%s.*/memory.limit_in_bytes", "pids/countersign/*/%s.*/pids.max",
		"nomad.slice/*/%s.*/memory.max", "nomad.slice/*/%s.*/pids.max"} {
		files, err := filepath.Glob("/sys/fs/cgroup/" + fmt.Sprintf(pattern, allocation))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			limit, err := os.ReadFile(file)
			pids, err2 := os.ReadFile(filepath.Join(filepath.Dir(file), "cgroup.procs"))
			if err := errors.Join(err, err2); err != nil || len(pids) == 0 {
				t.Errorf("%s: processes %q, %v", file, pids, err)
			}
			found = append(found, strings.TrimSpace(string(limit)))
		}
	}
	if want := []string{"134217728", strconv.Itoa(limits.Threads())}; !slices.Equal(found, want) {
		t.Errorf("the limits are %q, want %q", found, want)
	}
}

func TestNobodyButFunctionsMayCallTax(t *testing.T) {
	deploy(t, examples()...)
	if out, code := call(t, "tax", `{}`); code != 1 || !strings.Contains(out, string(countersign.CodeNotPermitted)) {
		t.Errorf("exit code %d, output %q; want %s", code, out, countersign.CodeNotPermitted)
	}
}

func TestUnknownFunction(t *testing.T) {
	deploy(t, "chaos")
	node := nodeOf(t, "chaos")
	out, code := command(t, "", "call", "-any-node", "-node", node, "nobody", `{}`)
	if code != 1 || !strings.Contains(out, string(countersign.CodeUnknownFunction)) {
		t.Errorf("exit code %d, output %q; want %s", code, out, countersign.CodeUnknownFunction)
	}
}

// forger signs calls by hand, to change them afterwards.
type forger struct {
	t       *testing.T
	self    *identity.Identity
	node    string
	request *http.Request
	body    []byte
}

// sign makes a correct call of function.
func (f *forger) sign(function string, edit func(*callsig.Call)) {
	f.t.Helper()
	callee, err := identity.FunctionID(env.TrustDomain, function)
	if err != nil {
		f.t.Fatal(err)
	}
	f.request, err = http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+f.node+callsig.Path(callee), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	c := callsig.Call{Caller: f.self.ID(), Callee: callee, Deadline: time.Now().Add(5 * time.Second), ID: rand.Text(), Body: f.body}
	if edit != nil {
		edit(&c)
	}
	if _, err := callsig.SignRequest(f.request, callsig.NewSigner(f.self), c, time.Now()); err != nil {
		f.t.Fatal(err)
	}
}

// send sends the call and returns the code of the answer.
func (f *forger) send() countersign.Code {
	f.t.Helper()
	response, err := http.DefaultClient.Do(f.request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		return ""
	}
	var p struct{ Code countersign.Code }
	if err := json.Unmarshal(body, &p); err != nil {
		f.t.Fatalf("status %d with %q: %v", response.StatusCode, body, err)
	}
	return p.Code
}

func (f *forger) setBody(body string) {
	f.request.Body, f.request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	f.request.GetBody = nil
}

// TestForgedCalls changes correctly signed calls in one place each. Every one is refused with the code of its reason.
func TestForgedCalls(t *testing.T) {
	deploy(t, append(examples(), "chaos")...)
	self := clientIdentity(t, "tester", 0)
	for name, test := range map[string]struct {
		edit func(*forger)
		want countersign.Code
	}{
		"as signed":         {func(*forger) {}, ""},
		"body changed":      {func(f *forger) { f.setBody(`{"do":"other"}`) }, countersign.CodeUnverified},
		"function changed":  {func(f *forger) { f.request.URL.Path = "/call/quote" }, countersign.CodeUnverified},
		"deadline changed":  {func(f *forger) { f.request.Header.Set("Countersign-Deadline", "9999999999999") }, countersign.CodeUnverified},
		"caller changed":    {func(f *forger) { f.setCaller("spiffe://" + env.TrustDomain + "/client/someone") }, countersign.CodeUnverified},
		"caller a function": {func(f *forger) { f.setCaller("spiffe://" + env.TrustDomain + "/function/quote") }, countersign.CodeUnverified},
		"digest removed":    {func(f *forger) { f.request.Header.Del("Content-Digest") }, countersign.CodeBadRequest},
		"unsigned": {func(f *forger) {
			f.request.Header.Del("Signature")
			f.request.Header.Del("Signature-Input")
		}, countersign.CodeUnverified},
		"certificate of another": {func(f *forger) {
			other := f.request.Header
			f.self = clientIdentity(t, "another", 0)
			f.sign("chaos", nil)
			other.Set("Countersign-Certificate", f.request.Header.Get("Countersign-Certificate"))
			f.request.Header = other
		}, countersign.CodeUnverified},
		"self-made certificate": {func(f *forger) {
			f.self = selfMade(t, f.self.ID())
			f.sign("chaos", nil)
		}, countersign.CodeUnverified},
		"replayed": {func(f *forger) {
			if code := f.send(); code != "" {
				t.Errorf("the first time: %s", code)
			}
			f.setBody(string(f.body))
		}, countersign.CodeReplayed},
		"deadline passed": {func(f *forger) {
			f.sign("chaos", func(c *callsig.Call) { c.Deadline = time.Now().Add(-time.Second) })
		}, countersign.CodeDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forger{t: t, self: self, node: nodeOf(t, "chaos"), body: []byte(`{"do":"behave"}`)}
			f.sign("chaos", nil)
			test.edit(f)
			if got := f.send(); got != test.want {
				t.Errorf("code %q; want %q", got, test.want)
			}
		})
	}
}

func (f *forger) setCaller(id string) { f.request.Header.Set("Countersign-Caller", `"`+id+`"`) }

// TestExpiredCertificate lets a client's certificate end, and calls with it.
func TestExpiredCertificate(t *testing.T) {
	deploy(t, "chaos")
	f := &forger{t: t, self: clientIdentity(t, "shortlived", 2*time.Second), node: nodeOf(t, "chaos"), body: []byte(`{"do":"behave"}`)}
	f.sign("chaos", nil)
	time.Sleep(time.Until(f.self.Certificate.NotAfter) + 1100*time.Millisecond)
	if got := f.send(); got != countersign.CodeExpired && got != countersign.CodeUnverified {
		t.Errorf("code %q; want that the certificate has expired", got)
	}
}

// TestSwappedReturns hands the return of one call to another: the client refuses it.
func TestSwappedReturns(t *testing.T) {
	deploy(t, "chaos")
	self, trust := clientIdentity(t, "tester", 0), trustBundle(t)
	var calls [2]*callsig.SignedCall
	var requests [2]*http.Request
	var answers [2]*http.Response
	var bodies [2][]byte
	callee, err := identity.FunctionID(env.TrustDomain, "chaos")
	if err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		requests[i], err = http.NewRequest(http.MethodPost, "http://"+nodeOf(t, "chaos")+callsig.Path(callee), nil)
		if err != nil {
			t.Fatal(err)
		}
		calls[i], err = callsig.SignRequest(requests[i], callsig.NewSigner(self), callsig.Call{Caller: self.ID(), Callee: callee,
			Deadline: time.Now().Add(5 * time.Second), ID: rand.Text(), Body: []byte(`{"do":"behave"}`)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if answers[i], err = http.DefaultClient.Do(requests[i]); err != nil {
			t.Fatal(err)
		}
		if bodies[i], err = io.ReadAll(answers[i].Body); err != nil {
			t.Fatal(err)
		}
		answers[i].Body.Close()
	}
	v := callsig.Verifier{Trust: func() *identity.Bundle { return trust }}
	if _, err := v.VerifyResponse(answers[0], bodies[0], requests[0], calls[0]); err != nil {
		t.Errorf("the right return: %v", err)
	}
	if _, err := v.VerifyResponse(answers[1], bodies[1], requests[0], calls[0]); err == nil {
		t.Error("the return of another call was accepted")
	}
	if _, err := v.VerifyResponse(answers[0], bytes.ToUpper(bodies[0]), requests[0], calls[0]); err == nil {
		t.Error("a return with a changed body was accepted")
	}
}

// clientIdentity gets a client certificate from Vault; ttl 0 is the role's.
func clientIdentity(t *testing.T, name string, ttl time.Duration) *identity.Identity {
	t.Helper()
	id, err := identity.ClientID(env.TrustDomain, name)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cluster.PersonToken(t.Context(), env.Dir, name)
	if err != nil {
		t.Fatal(err)
	}
	v := vaultClient(t)
	v.SetToken(token)
	self, err := issue.Client(t.Context(), v, "pki", id, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func trustBundle(t *testing.T) *identity.Bundle {
	t.Helper()
	b, err := issue.FetchBundle(context.Background(), issue.Config{Address: env.VaultAddr, PKIMount: "pki"}, env.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vaultClient(t *testing.T) *vault.Client {
	t.Helper()
	config := vault.DefaultConfig()
	config.Address = env.VaultAddr
	c, err := vault.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(env.VaultToken)
	return c
}

// TestCallOfAnUnknownFunction calls a function by a name that is nobody's, and one whose name is like no other.
func TestCallOfAnUnknownFunction(t *testing.T) {
	deploy(t, "chaos")
	if out, code := call(t, "choas", `{"do":"behave"}`); code != 1 || !strings.Contains(out, `did you mean "chaos"?`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	out, code := call(t, "something-else", `{}`)
	if code != 1 || !strings.Contains(out, `there is no function "something-else" that runs; there are `) || !strings.Contains(out, "chaos") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
