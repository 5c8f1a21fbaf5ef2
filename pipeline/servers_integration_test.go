//go:build integration

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/progress"
	"countersign/vaultsign/attest"
)

// realEnvironment is that of the cluster whose env file was sourced (tools/integration does).
func realEnvironment(t *testing.T) *hclspec.Environment {
	t.Helper()
	env, err := LoadEnvironment(os.Getenv("COUNTERSIGN_ENVIRONMENT"))
	if err != nil {
		t.Fatalf("these tests need a cluster: %v", err)
	}
	return env
}

// freshName is the name of a function that the cluster has not seen.
func freshName(prefix string) string { return fmt.Sprintf("%s-%x", prefix, time.Now().UnixNano()) }

func TestLockOnConsul(t *testing.T) {
	env := realEnvironment(t).Consul
	_, first, err := TakeLock(t.Context(), env, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conflict *ConflictError
	for _, wait := range []time.Duration{0, 1500 * time.Millisecond} {
		begin := time.Now()
		_, _, err := TakeLock(t.Context(), env, wait)
		if !errors.As(err, &conflict) || !strings.Contains(err.Error(), whoami()) {
			t.Fatalf("a second deploy that waits %s: %v; want a conflict that names the holder", wait, err)
		}
		if took := time.Since(begin); took < wait || took > wait+5*time.Second {
			t.Errorf("told to wait %s, it took %s", wait, took)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := TakeLock(stopped, env, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while waiting: %v", err)
	}
	released := make(chan error)
	go func() {
		time.Sleep(300 * time.Millisecond)
		released <- first.Release()
	}()
	held, second, err := TakeLock(t.Context(), env, 30*time.Second)
	if err != nil {
		t.Fatalf("waiting for the first to end: %v", err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	destroyLockSession(t, env)
	select {
	case <-held.Done():
		if !errors.Is(context.Cause(held), errLockLost) {
			t.Errorf("the deploy ended with %v, not because it lost its lock", context.Cause(held))
		}
	case <-time.After(20 * time.Second):
		t.Error("a deploy goes on without its lock")
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

// destroyLockSession does what Consul does to the lock of a deploy that was killed.
func destroyLockSession(t *testing.T, env hclspec.Consul) {
	t.Helper()
	config := consul.DefaultConfig()
	config.Address = env.Address
	client, err := consul.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	pair, _, err := client.KV().Get(LockKey, nil)
	if err != nil || pair == nil || pair.Session == "" {
		t.Fatalf("nobody holds the lock: %+v, %v", pair, err)
	}
	if _, err := client.Session().Destroy(pair.Session, nil); err != nil {
		t.Fatal(err)
	}
}

// TestNomadTakesRenderedJobs plans jobs on a cluster without the driver: Nomad parses and validates all of the file,
// and says that no node can run it.
func TestNomadTakesRenderedJobs(t *testing.T) {
	env := realEnvironment(t)
	cluster, err := NewCluster(env.Nomad)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Job){
		"plain":   func(*Job) {},
		"hostile": func(j *Job) { j.Repository = "https://git.example/\"}\n${env.SECRET}%{ if true }" },
	} {
		t.Run(name, func(t *testing.T) {
			j := testJob()
			j.Environment, j.Spec.Name = env, freshName("plan")
			change(j)
			source, err := Render(j)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cluster.Plan(t.Context(), j.Spec.Name, source, false)
			var placement *PlacementError
			if !errors.As(err, &placement) || !strings.Contains(err.Error(), "countersign driver") {
				t.Errorf("plan: %v; want that no node has the driver", err)
			}
			if d, err := cluster.Deployed(t.Context(), j.Spec.Name); d != nil || err != nil {
				t.Errorf("planning registered %+v, %v", d, err)
			}
			if _, err := cluster.Plan(t.Context(), "another", source, false); err == nil {
				t.Error("a file with another job was taken")
			}
		})
	}
}

func TestSignPublishAndVerify(t *testing.T) {
	env := realEnvironment(t)
	vaultKeys, err := newKeys(env.Vault)
	if err != nil {
		t.Fatal(err)
	}
	name := freshName("verify")
	d, u := publishing(t, nil, nil, "1")
	d.keys, d.signer = vaultKeys, func(function string) attest.Signer { return vaultKeys.Signer(function) }
	document := fmt.Sprintf(`{"calls":{},"function":%q,"reply":{"kind":"integer"},"request":{"kind":"string"}}`, name)
	u.Source.Name = name
	if u.packed, err = pack(u.Source, env, []byte("\x00asm "+name), []byte(document)); err != nil {
		t.Fatal(err)
	}
	reference := u.packed.reference.String()
	if _, err := Verify(t.Context(), env, reference, nil); !errors.Is(err, artifact.ErrNotFound) || isRefusal(err) {
		t.Errorf("what is not there: %v; want ErrNotFound", err)
	}
	if _, _, err := artifact.Push(t.Context(), u.packed.store, u.packed.contents); err != nil {
		t.Fatal(err)
	}
	var noKey *NoKeyError
	if _, err := Verify(t.Context(), env, reference, nil); !errors.As(err, &noKey) || !isRefusal(err) {
		t.Errorf("pushed by hand: %v; want that there is no key", err)
	}
	for run, idle := range []bool{false, true} {
		for _, step := range []func(context.Context, *unit) (progress.Outcome, error){d.sign, d.publish} {
			if o, err := step(t.Context(), u); err != nil || o.Idle != idle {
				t.Fatalf("run %d: %+v, %v; want nothing to do: %t", run, o, err, idle)
			}
		}
		u.packed.bundle = nil
	}
	v, err := Verify(t.Context(), env, reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Function != name || v.Commit != u.Commit || v.Repository != u.Repository || v.KeyVersion != 1 ||
		v.Artifact != reference || v.SpecDigest != u.packed.contents.SpecDigest() || len(v.Files) != 1 {
		t.Errorf("verified: %+v", v)
	}
}

func isRefusal(err error) bool {
	var u interface{ Unverified() bool }
	return errors.As(err, &u) && u.Unverified()
}
