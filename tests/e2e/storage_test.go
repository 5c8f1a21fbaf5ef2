//go:build integration

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	nomad "github.com/hashicorp/nomad/api"
)

// TestStorage binds chaos to a host volume, a directory of the node and one of the allocation, in both runtimes. What is in the
// first two outlives host and release, within the tag's bounds; and no more is given to a job than its artifact was signed with.
func TestStorage(t *testing.T) {
	for _, runtime := range []string{"wasm", "native"} {
		t.Run(runtime, func(t *testing.T) { testStorage(t, runtime) })
	}
}

func testStorage(t *testing.T, runtime string) {
	const tags = `  io {
    storage "data" {
      access    = "read-write"
      max_bytes = "64KiB"
    }
    storage "rules" {}
    storage "scratch" {
      access = "read-write"
      path   = "/tmp"
    }
  }

  ingress {`
	rules := filepath.Join(env.Dir, "data", "storage", "rules")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(rules, 0o755))
	must(os.WriteFile(filepath.Join(rules, "vat"), []byte("19"), 0o644))
	must(os.Symlink("/etc/passwd", filepath.Join(rules, "passwd")))
	t.Cleanup(func() {
		os.RemoveAll(rules)
		os.RemoveAll(filepath.Join(env.Dir, "data", "storage", "volume", "kept"))
	})
	defer deploy(t, "chaos") // as others want it
	environment, err := os.ReadFile(filepath.Join(env.Dir, "environment.hcl"))
	must(err)
	end := strings.LastIndex(string(environment), "}")
	bound := filepath.Join(t.TempDir(), "environment.hcl")
	must(os.WriteFile(bound, []byte(string(environment)[:end]+`
  bind "chaos" {
    storage "data" {
      volume = "storage"
    }
    storage "rules" {
      path = "`+rules+`"
    }
    storage "scratch" {
      allocation_local = true
    }
  }
}
`), 0o644))
	release := func(timeout string) {
		t.Helper()
		h.DeployEdited(t, func(_, spec string) string {
			spec = strings.Replace(strings.Replace(spec, "  ingress {", tags, 1), `"2s"`, timeout, 1)
			return strings.Replace(spec, "  resources {", `  runtime = "`+runtime+`"`+"\n\n  resources {", 1)
		}, []string{"chaos"}, "-env", bound)
	}
	succeeds := func(do, want string) {
		t.Helper()
		if out, code := call(t, "chaos", `{"do":"`+do+`"}`); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d; want %q\n%s", do, code, want, out)
		}
	}
	fails := func(do, reason string) {
		t.Helper()
		if out, code := call(t, "chaos", `{"do":"`+do+`"}`); code == 0 || !strings.Contains(strings.ToLower(out), strings.ToLower(reason)) {
			t.Errorf("%s: exit code %d; want %q\n%s", do, code, reason, out)
		}
	}

	release(`"3s"`)
	first := running(t, "chaos")
	if told := events(first); !strings.Contains(told, `Storage "data" is bound to volume`) {
		t.Errorf("the task events don't tell of the storage:\n%s", told)
	}
	succeeds("store /data/kept hello", "")
	succeeds("store /tmp/own gone", "")
	succeeds("load /tmp/own", "gone")
	succeeds("load /rules/vat", "19")
	fails("store /rules/vat 7", "Read-only file system")
	fails("load /rules/passwd", "symbolic links")
	fails("load /data/../../etc/passwd", "")
	fails("fill /data/big", "No space left on device")

	auditStorage(t, runtime, rules, first.NodeName)

	kill(t, hosts(t))
	eventually(t, "chaos answers again", func() bool { return answers(t) })
	succeeds("load /data/kept", "hello")
	succeeds("load /tmp/own", "gone") // the allocation is the same
	fails("store /data/other x", "No space left on device")
	if entries, err := os.ReadDir(filepath.Join(env.Dir, "data", "storage", "volume")); err != nil || len(entries) < 2 {
		t.Errorf("the volume has %v, %v", entries, err)
	}
	must(os.Remove(filepath.Join(env.Dir, "data", "storage", "volume", "big")))

	release(`"4s"`)
	succeeds("load /data/kept", "hello")
	fails("load /tmp/own", "No such file")

	// The same artifact, by a job that gives it more.
	n := nomadClient(t)
	job, _, err := n.Jobs().Info("chaos", nil)
	must(err)
	config := job.TaskGroups[0].Tasks[0].Config
	config["storage"].([]any)[0].(map[string]any)["max_bytes"] = 1 << 40
	_, _, err = n.Jobs().Register(job, nil)
	must(err)
	eventually(t, "the job that gives chaos more than it was signed with is refused", func() bool {
		allocs, _, err := n.Jobs().Allocations("chaos", true, nil)
		if err != nil {
			return false
		}
		return slices.ContainsFunc(allocs, func(listed *nomad.AllocationListStub) bool {
			a, _, err := n.Allocations().Info(listed.ID, nil)
			return err == nil && strings.Contains(events(a), "max_files are")
		})
	})
}

// auditStorage looks at what `audit io` tells of chaos.
func auditStorage(t *testing.T, runtime, rules, node string) {
	t.Helper()
	out, code := command(t, "", "audit", "io", "-json")
	type reach struct {
		Function, Runtime, Commit string
		Verified                  bool
		Nodes                     []string
		Storage                   []map[string]any
	}
	var reaches []reach
	if err := json.Unmarshal([]byte(out), &reaches); err != nil || code != 0 {
		t.Fatalf("audit io: exit code %d, %v\n%s", code, err, out)
	}
	i := slices.IndexFunc(reaches, func(r reach) bool { return r.Function == "chaos" })
	if i < 0 {
		t.Fatalf("audit io does not tell of chaos:\n%s", out)
	}
	r := reaches[i]
	want := []map[string]any{
		{"tag": "data", "path": "/data", "access": "read-write", "max_bytes": 65536.0, "max_files": 10000.0, "source": "volume", "target": "storage"},
		{"tag": "rules", "path": "/rules", "access": "read-only", "max_bytes": 0.0, "max_files": 10000.0, "source": "path", "target": rules},
		{"tag": "scratch", "path": "/tmp", "access": "read-write", "max_bytes": 0.0, "max_files": 10000.0, "source": "allocation_local"},
	}
	if !r.Verified || r.Runtime != runtime || r.Commit == "" || !slices.Equal(r.Nodes, []string{node}) || !reflect.DeepEqual(r.Storage, want) {
		t.Errorf("audit io tells %+v; want %v", r, want)
	}
	out, code = command(t, "", "audit", "io")
	if code != 0 || !strings.Contains(out, "storage data") || !strings.Contains(out, "65536 bytes, 10000 files") || !strings.Contains(out, "path "+rules) {
		t.Errorf("audit io: exit code %d\n%s", code, out)
	}
	t.Log(out)
}
