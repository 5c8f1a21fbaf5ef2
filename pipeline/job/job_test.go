package job

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"countersign/hclspec"
	"countersign/release"
)

var update = flag.Bool("update", false, "write the golden files")

// digest is 64 times one hexadecimal digit.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func testJob() *Job {
	return &Job{
		Spec: &hclspec.Function{
			Name: "quote", Description: "Price of a basket, taxes included", Runtime: hclspec.RuntimeWasm,
			Calls:     []string{"tax", "fx"},
			Resources: hclspec.Resources{CPU: 200, Memory: 64 << 20, Concurrency: 16},
			Scaling:   hclspec.Scaling{Min: 1, Max: 8, TargetConcurrency: 8},
			Call:      hclspec.Call{Timeout: 2 * time.Second},
		},
		Environment: &hclspec.Environment{Name: "dev"},
		Release: release.Function{
			Artifact: "registry.example:5000/functions/quote", ArtifactDigest: digest("a"),
			SpecDigest: digest("b"), InterfaceDigest: digest("c"),
			Calls:      map[string]string{"tax": digest("d"), "fx": digest("e")},
			Repository: "https://git.example/teams/quote.git", Commit: strings.Repeat("0123456789", 4),
		},
	}
}

func TestRender(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"wasm": func(*Job) {},
		"cluster": func(j *Job) {
			j.Environment.Nomad = hclspec.Nomad{Region: "eu", Namespace: "shop", Datacenters: []string{"fra1", "fra2"}}
			j.Spec.Scaling = hclspec.Scaling{Min: 3, Max: 30}
			j.Spec.Call.Timeout = 12500 * time.Millisecond
			j.Spec.Resources.Memory = 64<<20 + 1 // rounded up to whole MiB
			j.Spec.Calls, j.Release.Calls = nil, nil
		},
		"tags": func(j *Job) {
			j.Spec.Ingress = &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthSigned}
			j.Spec.Storage = []hclspec.Storage{
				{Tag: "receipts", Path: "/receipts", Access: "read-write", MaxBytes: 1 << 20, MaxFiles: 100},
				{Tag: "rules", Path: "/rules", Access: "read-only", MaxFiles: 10_000},
				{Tag: "scratch", Path: "/tmp", Access: "read-write", MaxFiles: 10_000},
				{Tag: "shared", Path: "/shared", Access: "read-write", MaxFiles: 10_000},
			}
			j.Spec.Network = []hclspec.Network{{Tag: "rates", Protocol: "tcp"}, {Tag: "db", Protocol: "tcp"}, {Tag: "cache", Protocol: "tcp"}}
			j.Environment.Storage = []hclspec.StorageBinding{
				{Function: "quote", Tag: "receipts", Volume: "shop"}, {Function: "tax", Tag: "receipts", Volume: "other"},
				{Function: "quote", Tag: "rules", Path: "/srv/rules"}, {Function: "quote", Tag: "scratch", AllocationLocal: true},
				{Function: "quote", Tag: "shared", CSIVolume: "shared"},
			}
			j.Environment.Network = []hclspec.NetworkBinding{
				{Function: "quote", Tag: "rates", Addresses: []string{"rates.example:443", "[2001:db8::1]:443"},
					NetworkLimits: hclspec.NetworkLimits{Connections: 5, Bytes: 1 << 20, BytesPerSecond: 1 << 10}},
				{Function: "quote", Tag: "db", Service: "postgres", TLS: "host", TLSServerName: "db.example", TLSCA: "-----BEGIN\n"}, {Function: "tax", Tag: "db", Service: "other"},
				{Function: "quote", Tag: "cache", Unix: "/run/redis/socket"},
			}
		},
		"native": func(j *Job) { // placed where its storage can be counted
			j.Spec.Runtime = hclspec.RuntimeNative
			j.Spec.Storage = []hclspec.Storage{{Tag: "scratch", Path: "/tmp", Access: "read-write", MaxFiles: 10}}
			j.Environment.Storage = []hclspec.StorageBinding{{Function: "quote", Tag: "scratch", AllocationLocal: true}}
		},
		"hostile": func(j *Job) { // text of other people stays text
			j.Spec.Description = "ends\n} job \"x\" { ${env.SECRET}"
			j.Release.Repository = "https://git.example/\"}\n${env.SECRET}%{ if true }"
			j.Spec.Resources = hclspec.Resources{}
			j.Spec.Call.Timeout = time.Hour
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := testJob()
			change(j)
			got, err := Render(j)
			if err != nil {
				t.Fatal(err)
			}
			file, diags := hclparse.NewParser().ParseHCL(got, name)
			if diags.HasErrors() {
				t.Fatalf("not HCL: %v\n%s", diags, got)
			}
			content, diags := file.Body.Content(&hcl.BodySchema{
				Blocks: []hcl.BlockHeaderSchema{{Type: "job", LabelNames: []string{"name"}}},
			})
			if diags.HasErrors() || len(content.Blocks) != 1 || content.Blocks[0].Labels[0] != "quote" {
				t.Fatalf("not one job named quote: %v", diags)
			}
			golden(t, name+".nomad.hcl", got)
		})
	}
}

// golden compares got with a file of testdata; `go test ./pipeline/job -update` writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (-update accepts it):\n%s", file, got)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobs", "quote.nomad.hcl")
	for i, tc := range []struct {
		content string
		changed bool
	}{{"one", true}, {"one", false}, {"two", true}} {
		changed, err := Write(file, []byte(tc.content))
		if err != nil || changed != tc.changed {
			t.Fatalf("write %d: changed = %t, %v; want %t", i, changed, err, tc.changed)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != tc.content {
			t.Fatalf("write %d: file holds %q, %v", i, got, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v; want only the job", entries, err)
	}
	if _, err := Write(filepath.Dir(file), nil); err == nil {
		t.Error("writing over a directory succeeded")
	}
}

func TestReadMeta(t *testing.T) {
	meta := map[string]string{}
	for _, e := range testJob().Meta() {
		meta[e.Key] = e.Value
	}
	want := testJob().Release
	want.Artifact, want.Callees = "", []string{"fx", "tax"}
	if got, ours, err := ReadMeta("quote", meta); err != nil || !ours || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadMeta = %+v, %t, %v; want %+v", got, ours, err, want)
	}
	if least, most, ok := ReadScaling(meta); least != 1 || most != 8 || !ok {
		t.Errorf("ReadScaling = %d, %d, %t", least, most, ok)
	}
	delete(meta, countersign.MetaCallees)
	if got, _, err := ReadMeta("quote", meta); err != nil || !reflect.DeepEqual(got.Callees, []string{"fx", "tax"}) {
		t.Errorf("the job of an earlier version: callees %q, %v", got.Callees, err)
	}
	meta[countersign.MetaCalls] = "tax"
	if _, ours, err := ReadMeta("quote", meta); err == nil || !ours {
		t.Errorf("calls that can't be read: %v", err)
	}
	if _, ours, err := ReadMeta("quote", map[string]string{"x": "y"}); ours || err != nil {
		t.Errorf("the job of somebody else: %t, %v", ours, err)
	}
	if _, _, ok := ReadScaling(nil); ok {
		t.Error("bounds of nothing")
	}
}

func TestCallsInMeta(t *testing.T) {
	calls := map[string]string{"tax": "sha256:aa", "fx": "sha256:bb"}
	text := formatCalls(calls)
	if want := "fx=sha256:bb tax=sha256:aa"; text != want {
		t.Errorf("formatCalls = %q, want %q", text, want)
	}
	if got, err := parseCalls(text); err != nil || !reflect.DeepEqual(got, calls) {
		t.Errorf("parseCalls(%q) = %v, %v; want %v", text, got, err, calls)
	}
	for _, bad := range []string{"tax", "=sha256:aa", "tax="} {
		if _, err := parseCalls(bad); err == nil {
			t.Errorf("parseCalls(%q) succeeded", bad)
		}
	}
}
