package pipeline

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"countersign"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"countersign/hclspec"
)

// Job is everything that a function's Nomad job is made of.
type Job struct {
	Spec            *hclspec.Function
	Environment     *hclspec.Environment
	Artifact        string // OCI reference with a digest
	ArtifactDigest  string
	SpecDigest      string
	InterfaceDigest string
	Calls           map[string]string // see Interface.Calls
	Repository      string
	Commit          string
}

//go:embed job.nomad.hcl.tmpl
var jobText string

var jobTemplate = template.Must(template.New("job").Funcs(template.FuncMap{
	"hcl":           hclString,
	"allocationKey": func() string { return countersign.MetaAllocation },
	"hcllist":       hclList,
	"mib":           func(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 },
	"line":          func(s string) string { return strings.Join(strings.Fields(s), " ") },
}).Parse(jobText))

// Render returns the Nomad job of a function as HCL that people can read, change and run by hand. The text is a pure
// function of j.
func Render(j *Job) ([]byte, error) {
	var b bytes.Buffer
	if err := jobTemplate.Execute(&b, j); err != nil {
		return nil, fmt.Errorf("render the job of function %q: %w", j.Spec.Name, err)
	}
	return hclwrite.Format(b.Bytes()), nil
}

// Meta returns what the job tells about itself.
func (j *Job) Meta() []MetaEntry {
	list := j.origin()
	for _, e := range []MetaEntry{
		{countersign.MetaCalls, formatCalls(j.Calls)},
		{countersign.MetaCallees, j.callees()},
		{countersign.MetaScaling, fmt.Sprintf("%d-%d", j.Spec.Scaling.Min, j.Spec.Scaling.Max)},
	} {
		if e.Value != "" {
			list = append(list, e)
		}
	}
	return list
}

// origin is what the job and its Consul service tell about the release.
func (j *Job) origin() []MetaEntry {
	return []MetaEntry{
		{countersign.MetaArtifact, j.ArtifactDigest},
		{countersign.MetaCommit, j.Commit},
		{countersign.MetaInterface, j.InterfaceDigest},
		{countersign.MetaRepository, j.Repository},
		{countersign.MetaSpec, j.SpecDigest},
	}
}

// ServiceMeta returns what each instance in Consul tells, apart from its allocation.
func (j *Job) ServiceMeta() []MetaEntry {
	list := append(j.origin(), MetaEntry{countersign.MetaRelease, countersign.ReleaseID(j.ArtifactDigest)})
	if tags := j.storageTags(); tags != nil {
		list = append(list, MetaEntry{countersign.MetaIOStorage, strings.Join(tags, ",")})
	}
	if tags := j.networkTags(); tags != nil {
		list = append(list, MetaEntry{countersign.MetaIONetwork, strings.Join(tags, ",")})
	}
	return list
}

func (j *Job) storageTags() (tags []string) {
	for _, s := range j.Spec.Storage {
		tags = append(tags, s.Tag)
	}
	return tags
}

func (j *Job) networkTags() (tags []string) {
	for _, n := range j.Spec.Network {
		tags = append(tags, n.Tag)
	}
	return tags
}

// MetaEntry is one key and value of a job's meta.
type MetaEntry struct{ Key, Value string }

func (j *Job) callees() string {
	callees := slices.Clone(j.Spec.Calls)
	slices.Sort(callees)
	return strings.Join(callees, " ")
}

// Tags returns the tags of the Consul service: short, for people and for DNS.
func (j *Job) Tags() []string {
	release := countersign.ReleaseID(j.ArtifactDigest)
	tags := []string{countersign.TagFunction, countersign.TagRelease + release}
	if j.Spec.Ingress != nil && j.Spec.Ingress.HTTP {
		tags = append(tags, countersign.TagIngress)
	}
	for _, tag := range j.storageTags() {
		tags = append(tags, countersign.TagIOStorage+tag)
	}
	for _, tag := range j.networkTags() {
		tags = append(tags, countersign.TagIONetwork+tag)
	}
	// Last, since the Consul UI cuts a long line of tags off.
	return append(tags, countersign.TagCommit+countersign.Short(j.Commit), countersign.TagArtifact+release)
}

// KillTimeout is how long Nomad waits for running calls to end when it stops an allocation: the longest call, within
// what a Nomad client permits by default.
func (j *Job) KillTimeout() string {
	whole := (j.Spec.Call.Timeout + 2*time.Second - 1).Truncate(time.Second)
	return min(max(whole, 5*time.Second), 30*time.Second).String()
}

// Memory is never 0 in a job: Nomad refuses less than 10 MiB.
func (j *Job) Memory() int64 { return max(j.Spec.Resources.Memory, 10<<20) }

// CPU is never 0 in a job, either.
func (j *Job) CPU() int { return max(j.Spec.Resources.CPU, 1) }

// hclString returns s as an HCL string literal: quotes, newlines and template markers escaped.
func hclString(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

func hclList(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = hclString(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// writeIfChanged writes file atomically, unless it has that content already, and tells whether it wrote.
func writeIfChanged(file string, content []byte) (changed bool, err error) {
	old, err := os.ReadFile(file)
	if err == nil && bytes.Equal(old, content) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("compare with what is there: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, fmt.Errorf("make the directory: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return false, fmt.Errorf("write: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename, which is the normal end
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return false, fmt.Errorf("write: %w", err)
	}
	return true, nil
}

// formatCalls and parseCalls turn Job.Calls into a value of a Nomad job's meta and back: "fx=sha256:…
// tax=sha256:…".
func formatCalls(calls map[string]string) string {
	parts := make([]string, 0, len(calls))
	for _, callee := range slices.Sorted(maps.Keys(calls)) {
		parts = append(parts, callee+"="+calls[callee])
	}
	return strings.Join(parts, " ")
}

func parseCalls(s string) (map[string]string, error) {
	calls := map[string]string{}
	for _, part := range strings.Fields(s) {
		callee, digest, ok := strings.Cut(part, "=")
		if !ok || callee == "" || digest == "" {
			return nil, errors.New("want callee=digest, got " + part)
		}
		calls[callee] = digest
	}
	return calls, nil
}
