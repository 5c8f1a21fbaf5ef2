package job

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"countersign"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"countersign/hclspec"
	"countersign/release"
)

// Job is everything that a function's Nomad job is made of.
type Job struct {
	Spec        *hclspec.Function
	Environment *hclspec.Environment
	Release     release.Function // what runs and where it comes from, as attested
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

// Tags returns the tags of the Consul service: short, for people and for DNS.
func (j *Job) Tags() []string {
	release := j.Release.ID()
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
	return append(tags, countersign.TagCommit+countersign.Short(j.Release.Commit), countersign.TagArtifact+release)
}

// KillTimeout is how long Nomad waits for running calls to end when it stops an allocation: the longest call, within
// what a Nomad client permits by default.
func (j *Job) KillTimeout() string {
	whole := (j.Spec.Call.Timeout + 2*time.Second - 1).Truncate(time.Second)
	return min(max(whole, 5*time.Second), 30*time.Second).String()
}

// MaxParallel is how many allocations Nomad replaces at a time.
func (j *Job) MaxParallel() int { return MaxParallel(j.Spec.Scaling.Min) }

// MaxParallel is how many of a number of allocations are replaced at a time: a quarter, and at least one. The others serve
// meanwhile.
func MaxParallel(allocations int) int { return max(1, allocations/4) }

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
