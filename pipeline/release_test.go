package pipeline

import (
	"context"
	"countersign/pipeline/load"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/pipeline/apply"
	"countersign/pipeline/hosts"
	"countersign/pipeline/job"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/registry"
	"countersign/pipeline/routes"
	"countersign/pipeline/vault/vaulttest"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// cluster is one on which nothing runs, and every job is healthy at once. It stands for Consul, too.
type cluster struct {
	apply.Cluster // what is not here must not be called
	mu            sync.Mutex
	running       map[string]release.Function
	planned       map[string]string
	wrote         []string
}

func (c *cluster) Running(context.Context) (map[string]release.Function, error) {
	return c.running, nil
}

func (c *cluster) Plan(_ context.Context, function string, source []byte, _ bool) (*nomad.Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planned == nil {
		c.planned = map[string]string{}
	}
	c.planned[function] = string(source)
	return &nomad.Plan{Function: function, Action: nomad.ActionCreate}, nil
}

func (c *cluster) Run(_ context.Context, p *nomad.Plan) (*nomad.Started, error) {
	return &nomad.Started{Function: p.Function}, nil
}

func (c *cluster) WaitHealthy(context.Context, *nomad.Started, time.Duration, func(string)) ([]string, error) {
	return []string{"a"}, nil
}

func (c *cluster) Passing(context.Context, string) (map[string]string, error) {
	return map[string]string{"a": "127.0.0.1:1"}, nil
}

func (c *cluster) Answers(context.Context, hosts.Instance) error { return nil }

func (c *cluster) Entries(context.Context) (*routes.Entries, error) { return &routes.Entries{}, nil }

func (c *cluster) Write(_ context.Context, changes []routes.Change) error {
	c.wrote = append(c.wrote, routes.Texts(changes)...)
	return nil
}

// shop is a registry that has a release of quote, which calls tax, and nothing else of how it was made.
type shop struct {
	keys   *vaulttest.Keys
	reader *registry.Reader
	record []byte
	jobs   string // directory of the jobs of the deploy that made it
}

// published makes and deploys a release, and deletes what the build left.
func published(t *testing.T) *shop {
	t.Helper()
	dir, build := built(t, "", map[string][]string{"quote": {"tax"}, "tax": nil})
	keys, open, steps := vaulttest.New(t), directory(t), progress.NewRecorder(nil)
	p := publish.New(publish.Options{Environment: build.Environment, Builder: DefaultBuilder, Open: open}, build.Sources, steps)
	p.UseKeys(keys, keys.Signer)
	if err := errors.Join(load.Whole(p.Describe(t.Context()), nil), p.Publish(t.Context())); err != nil {
		t.Fatal(err)
	}
	kept := p.Record()
	kept.Number, kept.Created, kept.Deployer, kept.Action = 1, time.Now().UTC().Truncate(time.Second), release.Deployer{DisplayName: "test"}, release.ActionDeploy
	kept.Keys = map[string]string{}
	for _, f := range kept.Functions {
		kept.Keys[f.Key] = "a2V5"
	}
	record, err := kept.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{keys, &registry.Reader{Open: open, Keys: keys, Mount: "transit"}, record, t.TempDir()}
	e, _ := s.engine(t, s.jobs, steps)
	if err := rollOut(t, e, p.Record()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return s
}

// engine returns one that knows the registry, the keys and the cluster.
func (s *shop) engine(t *testing.T, jobs string, steps *progress.Recorder) (*apply.Engine, *cluster) {
	t.Helper()
	_, build := built(t, "", map[string][]string{"tax": nil}) // for its environment
	c := &cluster{}
	return &apply.Engine{
		Options: apply.Options{Environment: build.Environment, JobsDir: jobs, Timeout: time.Minute},
		Cluster: c, Routes: c, Instances: c, Hosts: c, Artifacts: s.reader, Steps: steps,
	}, c
}

func rollOut(t *testing.T, e *apply.Engine, record *release.Record) error {
	t.Helper()
	rollout, err := e.Check(t.Context(), record)
	if err != nil {
		return err
	}
	return rollout.Run(t.Context(), record)
}

// decoded reads the record, and changes it.
func (s *shop) decoded(t *testing.T, change func(quote *release.Function)) *release.Record {
	t.Helper()
	record, err := release.Decode(s.record)
	if err != nil {
		t.Fatal(err)
	}
	quote := record.Functions["quote"]
	change(&quote)
	record.Functions["quote"] = quote
	return record
}

func nothing(*release.Function) {}

// TestAReleaseRunsFromItsRecord is what rolling back needs: nothing of the build is left, and the record is enough.
func TestAReleaseRunsFromItsRecord(t *testing.T) {
	s := published(t)
	steps, jobs := progress.NewRecorder(nil), t.TempDir()
	e, c := s.engine(t, jobs, steps)
	if err := rollOut(t, e, s.decoded(t, nothing)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"quote", "tax"} {
		first, err := os.ReadFile(job.File(s.jobs, name))
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(job.File(jobs, name))
		if err != nil || string(first) != string(again) {
			t.Errorf("the job of %s is another than that of the deploy: %v\n%s", name, err, again)
		}
	}
	if !slices.Contains(c.wrote, "quote may call tax") || !slices.Equal(c.wrote[:2], []string{"tax is HTTP", "quote is HTTP"}) {
		t.Errorf("wrote to Consul %q", c.wrote)
	}
	var did []string
	for _, timing := range steps.Timings() {
		if timing.Step == progress.StepRender || timing.Step == progress.StepPlan {
			timing.Function = "each" // of several at the same time
		}
		did = append(did, strings.TrimSpace(fmt.Sprintf("%s %s", timing.Step, timing.Function)))
	}
	want := []string{"check", "render each", "render each", "plan each", "plan each", "route",
		"run tax", "wait tax", "run quote", "wait quote", "narrow"}
	if !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
}

// TestARecordIsNotBelieved changes what a record says, or what attests it: nothing must be planned.
func TestARecordIsNotBelieved(t *testing.T) {
	other := "sha256:" + strings.Repeat("0", 64)
	for name, tc := range map[string]struct {
		change func(quote *release.Function)
		keys   func(*vaulttest.Keys)
		want   string // part of the error
	}{
		"spec":      {func(quote *release.Function) { quote.SpecDigest = other }, nil, "it has spec"},
		"interface": {func(quote *release.Function) { quote.InterfaceDigest = other }, nil, "it has interface"},
		"callees":   {func(quote *release.Function) { quote.Callees = []string{"fx", "tax"} }, nil, "lets it call"},
		"calls":     {func(quote *release.Function) { quote.Calls = nil }, nil, "other interfaces"},
		"artifact": {func(quote *release.Function) {
			quote.Artifact = strings.Replace(quote.Artifact, "quote", "tax", 1)
		}, nil, `titled as those of "quote"`},
		"retired": {nothing, func(k *vaulttest.Keys) { k.Rotate(); k.Retire(2) }, string(attest.VersionRetired)},
	} {
		t.Run(name, func(t *testing.T) {
			s := published(t)
			if tc.keys != nil {
				tc.keys(s.keys)
			}
			e, c := s.engine(t, t.TempDir(), progress.NewRecorder(nil))
			err := rollOut(t, e, s.decoded(t, tc.change))
			var refused interface{ Unverified() bool }
			if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.As(err, &refused) || !refused.Unverified() {
				t.Errorf("error %v, want a refusal with %q", err, tc.want)
			}
			if c.planned != nil || c.wrote != nil {
				t.Errorf("planned %q and wrote %q", slices.Collect(maps.Keys(c.planned)), c.wrote)
			}
		})
	}
}

// TestAnotherAttestation runs a release that was signed again, by another deploy, since the key that it names was retired.
func TestAnotherAttestation(t *testing.T) {
	s := published(t)
	s.keys.Rotate()
	s.keys.Retire(2)
	_, build := built(t, "", map[string][]string{"quote": {"tax"}, "tax": nil})
	for _, source := range build.Sources {
		source.Commit = strings.Repeat("2", 40)
	}
	p := publish.New(publish.Options{Environment: build.Environment, Builder: DefaultBuilder, Open: s.reader.Open},
		build.Sources, progress.NewRecorder(nil))
	p.UseKeys(s.keys, s.keys.Signer)
	if err := errors.Join(load.Whole(p.Describe(t.Context()), nil), p.Publish(t.Context())); err != nil {
		t.Fatal(err)
	}
	jobs := t.TempDir()
	e, _ := s.engine(t, jobs, progress.NewRecorder(nil))
	if err := rollOut(t, e, s.decoded(t, nothing)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(job.File(jobs, "quote"))
	if err != nil || !strings.Contains(string(text), strings.Repeat("2", 40)) {
		t.Errorf("the job does not say what is attested now: %v\n%s", err, text)
	}
}

// TestAPlanNeedsNothingPublished plans what is in no registry and no Vault; the same engine would not run it.
func TestAPlanNeedsNothingPublished(t *testing.T) {
	for _, planOnly := range []bool{true, false} {
		_, build := built(t, "", map[string][]string{"quote": {"tax"}, "tax": nil})
		keys, steps := vaulttest.New(t), progress.NewRecorder(nil)
		o := publish.Options{Environment: build.Environment, Builder: DefaultBuilder, PlanOnly: true, Open: directory(t)}
		p := publish.New(o, build.Sources, steps)
		p.UseKeys(keys, keys.Signer)
		c := &cluster{}
		e := &apply.Engine{
			Options: apply.Options{Environment: build.Environment, JobsDir: t.TempDir(), PlanOnly: planOnly},
			Cluster: c, Routes: c, Instances: c, Hosts: c, Artifacts: p, Steps: steps,
		}
		err := errors.Join(load.Whole(p.Describe(t.Context()), nil), p.Publish(t.Context()))
		if err == nil {
			err = rollOut(t, e, p.Record())
		}
		if (err == nil) != planOnly || c.wrote != nil {
			t.Errorf("only a plan: %t; error %v, wrote %q", planOnly, err, c.wrote)
		}
		if planOnly && len(c.planned) != 2 {
			t.Errorf("planned %q", slices.Collect(maps.Keys(c.planned)))
		}
		if !planOnly && !strings.Contains(err.Error(), "without an attestation") {
			t.Errorf("what nobody signed is refused with %v", err)
		}
	}
}
