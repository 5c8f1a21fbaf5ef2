package pipeline

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"countersign/hclspec"
)

// Keys of a rendered job's meta. Those up to MetaCommit are in the meta of its Consul service, too.
const (
	MetaArtifact   = "artifact_digest"  // sha256:<hex> of the OCI manifest
	MetaSpec       = "spec_digest"      // sha256:<hex> of the spec file
	MetaInterface  = "interface_digest" // sha256:<hex>, see Interface.Digest
	MetaRepository = "repository"       // where the source is
	MetaCommit     = "commit"           // of the source, as attested
	MetaCalls      = "calls"            // callee=digest pairs, see Interface.Calls
	MetaCallees    = "callees"          // functions that the spec lets it call, separated by spaces
	MetaScaling    = "scaling"          // fewest and most allocations, such as 1-8
)

// Further keys of a service's meta, which routers and people read.
const (
	MetaRelease    = "release"    // see Release
	MetaAllocation = "allocation" // of Nomad, the whole ID
	MetaIOStorage  = "io_storage" // storage tags of the spec, separated by commas; only if there are any
	MetaIONetwork  = "io_network" // network tags, likewise
)

// Release names a release of a function for people and filters: the first 12 hexadecimal digits of the digest
// (sha256:<hex>) of its artifact.
func Release(artifactDigest string) string {
	return short(strings.TrimPrefix(artifactDigest, "sha256:"))
}

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
	"hcl":     hclString,
	"hcllist": hclList,
	"mib":     func(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 },
	"line":    func(s string) string { return strings.Join(strings.Fields(s), " ") },
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

// Meta returns what the job and its Consul service tell about the release.
func (j *Job) Meta() []MetaEntry {
	return []MetaEntry{
		{MetaArtifact, j.ArtifactDigest},
		{MetaCommit, j.Commit},
		{MetaInterface, j.InterfaceDigest},
		{MetaRepository, j.Repository},
		{MetaSpec, j.SpecDigest},
	}
}

// ServiceMeta returns what each instance in Consul tells, apart from its allocation.
func (j *Job) ServiceMeta() []MetaEntry {
	list := append(j.Meta(), MetaEntry{MetaRelease, Release(j.ArtifactDigest)})
	if tags := j.storageTags(); tags != nil {
		list = append(list, MetaEntry{MetaIOStorage, strings.Join(tags, ",")})
	}
	if tags := j.networkTags(); tags != nil {
		list = append(list, MetaEntry{MetaIONetwork, strings.Join(tags, ",")})
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

// CallsText is the value of MetaCalls.
func (j *Job) CallsText() string { return formatCalls(j.Calls) }

// CalleesText is the value of MetaCallees.
func (j *Job) CalleesText() string {
	callees := slices.Clone(j.Spec.Calls)
	slices.Sort(callees)
	return strings.Join(callees, " ")
}

// Tags returns the tags of the Consul service: short, for people and for DNS.
func (j *Job) Tags() []string {
	release := Release(j.ArtifactDigest)
	tags := []string{"countersign", "release-" + release}
	if j.Spec.Ingress != nil && j.Spec.Ingress.HTTP {
		tags = append(tags, "ingress")
	}
	for _, tag := range j.storageTags() {
		tags = append(tags, "io-storage-"+tag)
	}
	for _, tag := range j.networkTags() {
		tags = append(tags, "io-network-"+tag)
	}
	// Last, since the Consul UI cuts a long line of tags off.
	return append(tags, "commit-"+short(j.Commit), "artifact-"+release)
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
