//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	nomad "github.com/hashicorp/nomad/api"

	"countersign/artifact"
	"countersign/host/wasm"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/transit"
)

// candidate is an artifact of a function "candidate-…" that a test publishes as it likes, and then asks Nomad to run.
type candidate struct {
	t        *testing.T
	name     string
	contents artifact.Contents
	ref      artifact.Reference
	store    artifact.Store
}

// newCandidate makes an artifact with chaos's module under another name, so that every test has a key and a digest of
// its own. Nothing is published yet.
func newCandidate(t *testing.T, name string) *candidate {
	t.Helper()
	module, err := os.ReadFile(h.WasmOf(t, "chaos"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := describeChaos(module)
	if err != nil {
		t.Fatal(err)
	}
	c := &candidate{t: t, name: name}
	spec := fmt.Sprintf("function %q {\n  ingress {\n    http = true\n    auth = \"signed\"\n  }\n}\n", name)
	c.contents = artifact.Contents{Function: name, Wasm: module, Spec: []byte(spec),
		Interface: bytes.Replace(document, []byte(`"chaos"`), []byte(`"`+name+`"`), 1)}
	if c.ref, err = artifact.ParseReference(env.Registry + "/functions/" + name); err != nil {
		t.Fatal(err)
	}
	if c.store, err = artifact.Open(c.ref, true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.vault().EnsureKey(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return c
}

// describeChaos describes chaos's module once for all candidates.
func describeChaos(module []byte) ([]byte, error) {
	describeOnce.Do(func() { chaosDocument, errDescribe = wasm.Describe(context.Background(), module) })
	return chaosDocument, errDescribe
}

var (
	describeOnce  sync.Once
	chaosDocument []byte
	errDescribe   error
)

func (c *candidate) vault() *transit.Client {
	c.t.Helper()
	v, err := transit.New(vaultClient(c.t), "transit")
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// push publishes the artifact and pins the reference.
func (c *candidate) push() {
	c.t.Helper()
	manifest, _, err := artifact.Push(c.t.Context(), c.store, c.contents)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ref = c.ref.WithDigest(manifest.Digest.String())
}

// claims states the truth about the artifact.
func (c *candidate) claims() attest.Claims {
	c.t.Helper()
	interfaceDigest, err := c.contents.InterfaceDigest()
	if err != nil {
		c.t.Fatal(err)
	}
	claims := attest.Claims{Function: c.name, Repository: "https://git.example/" + c.name, Commit: strings.Repeat("1", 40),
		Target: "@" + c.name + "//:" + c.name, ManifestDigest: c.ref.Digest, SpecDigest: c.contents.SpecDigest(),
		InterfaceDigest: interfaceDigest, Builder: attest.Builder{ID: "https://builder.example/e2e"}}
	for _, f := range c.contents.Files() {
		claims.Files = append(claims.Files, attest.File{Name: f.Name, Digest: f.Digest})
	}
	return claims
}

// attach signs claims with the key of a function and attaches the attestation to the artifact.
func (c *candidate) attach(claims attest.Claims) {
	c.t.Helper()
	bundle, err := attest.Sign(c.t.Context(), c.vault().Signer(claims.Function), claims)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := artifact.AttachBundle(c.t.Context(), c.store, c.ref, bundle, attest.PredicateType); err != nil {
		c.t.Fatal(err)
	}
}

// runJob asks Nomad to run the artifact and returns the allocation once it runs or has failed.
func (c *candidate) runJob() *nomad.Allocation {
	c.t.Helper()
	n := nomadClient(c.t)
	job, err := n.Jobs().ParseHCL(fmt.Sprintf(`
job %[1]q {
  group "g" {
    restart { attempts = 0 }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task %[1]q {
      driver = "countersign"
      config { artifact = %[2]q }
      identity {
        name = "countersign"
        aud  = ["vault.io"]
        ttl  = "1h"
        file = true
      }
      resources {
        cpu    = 50
        memory = 256
        network {
          port "call" {}
        }
      }
    }
  }
}`, c.name, c.ref), true)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, _, err := n.Jobs().Register(job, nil); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { n.Jobs().Deregister(c.name, true, nil) })
	var found *nomad.Allocation
	eventually(c.t, "an allocation of "+c.name+" that runs or has failed", func() bool {
		allocs, _, err := n.Jobs().Allocations(c.name, true, nil)
		if err != nil || len(allocs) == 0 {
			return false
		}
		slices.SortFunc(allocs, func(a, b *nomad.AllocationListStub) int { return int(b.CreateIndex) - int(a.CreateIndex) })
		if s := allocs[0].ClientStatus; s != nomad.AllocClientStatusRunning && s != nomad.AllocClientStatusFailed {
			return false
		}
		found, _, err = n.Allocations().Info(allocs[0].ID, nil)
		return err == nil
	})
	return found
}

// events returns the task events of an allocation, one per line.
func events(a *nomad.Allocation) string {
	var b strings.Builder
	for _, task := range a.TaskStates {
		for _, e := range task.Events {
			fmt.Fprintf(&b, "%s: %s\n", e.Type, e.DisplayMessage)
		}
	}
	return b.String()
}

// TestAdmission publishes artifacts of which each but the first has one thing wrong. Only the first runs; the task
// events of the others tell why.
func TestAdmission(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*candidate)
		reason  string // in the task events; "" means that it runs
	}{
		"as-signed": {func(c *candidate) { c.push(); c.attach(c.claims()) }, ""},
		"unsigned":  {func(c *candidate) { c.push() }, "no attestation"},
		"other-function": {func(c *candidate) {
			c.push()
			other := newCandidate(t, "candidate-other")
			claims := c.claims()
			claims.Function = other.name
			c.attach(claims)
		}, "candidate-other"},
		"other-digest": {func(c *candidate) {
			c.push()
			claims := c.claims()
			claims.ManifestDigest = "sha256:" + strings.Repeat("ab", 32)
			c.attach(claims)
		}, "digest"},
		"other-spec": {func(c *candidate) {
			c.push()
			claims := c.claims()
			claims.SpecDigest = "sha256:" + strings.Repeat("ab", 32)
			c.attach(claims)
		}, "spec"},
		"retired-version": {func(c *candidate) {
			c.push()
			c.attach(c.claims())
			v := vaultClient(t)
			if _, err := v.Logical().Write("transit/keys/"+c.name+"/rotate", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Logical().Write("transit/keys/"+c.name+"/config", map[string]any{"min_decryption_version": 2}); err != nil {
				t.Fatal(err)
			}
		}, "version"},
		"byte-changed": {func(c *candidate) { c.push(); c.attach(c.claims()); c.changeByte() }, "digest"},
		"malformed-module": {func(c *candidate) {
			c.contents.Wasm = append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Repeat([]byte{0xff}, 64)...)
			c.push()
			c.attach(c.claims())
		}, "malformed"},
		"bad-spec": {func(c *candidate) {
			c.contents.Spec = []byte("function \"" + c.name + "\" {\n  memory = \"lots\"\n}\n")
			c.push()
			c.attach(c.claims())
		}, "spec"},
		"io-tag": {func(c *candidate) {
			c.contents.Spec = []byte("function \"" + c.name + "\" {\n  io {\n    network \"rates\" {\n      protocol = \"tcp\"\n    }\n  }\n}\n")
			c.push()
			c.attach(c.claims())
		}, "tags of the attested spec"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "byte-changed" { // which changes what all have, while the others wait
				t.Parallel()
			}
			c := newCandidate(t, "candidate-"+name)
			test.prepare(c)
			a := c.runJob()
			told := events(a)
			switch {
			case test.reason == "" && a.ClientStatus != nomad.AllocClientStatusRunning:
				t.Errorf("it does not run:\n%s", told)
			case test.reason != "" && a.ClientStatus != nomad.AllocClientStatusFailed:
				t.Errorf("it is %s; want that it is refused", a.ClientStatus)
			case test.reason != "" && !strings.Contains(told, test.reason):
				t.Errorf("the task events do not tell of %q:\n%s", test.reason, told)
			}
		})
	}
}

// changeByte changes one byte of the module where the registry keeps it.
func (c *candidate) changeByte() {
	c.t.Helper()
	sum := strings.TrimPrefix(c.contents.Files()[0].Digest, "sha256:")
	if _, err := hex.DecodeString(sum); err != nil {
		c.t.Fatal(err)
	}
	changed := 0
	err := filepath.WalkDir(env.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "data" || filepath.Base(filepath.Dir(path)) != sum {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		changed++
		return os.WriteFile(path, b, 0o644)
	})
	if err != nil || changed != 1 {
		c.t.Fatalf("changed %d files of the registry: %v", changed, err)
	}
	c.t.Cleanup(func() { // other tests' artifacts have the same module
		c.restore(sum)
	})
}

func (c *candidate) restore(sum string) {
	err := filepath.WalkDir(env.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "data" && filepath.Base(filepath.Dir(path)) == sum {
			return os.WriteFile(path, c.contents.Wasm, 0o644)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("restoring the registry's blob: %v", err)
	}
}
