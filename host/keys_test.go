package host

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/host/control"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
)

// admitted admits the published artifact and returns how it stands, and the events of its task from then on.
func (p *published) admitted(t *testing.T) (*attested, func() string) {
	t.Helper()
	s := p.begin(t)
	s.request.TaskID = "task"
	must(t, s.admit(t.Context()))
	events, stop := p.host.Subscribe()
	t.Cleanup(stop)
	return s.standing, func() string {
		var told []string
		for {
			select {
			case e := <-events:
				told = append(told, e.Message)
			default:
				return strings.Join(told, "\n")
			}
		}
	}
}

func (k artifactKey) ringOf(latest, floor int) keyring.KeyRing {
	r := keyring.KeyRing{Mount: "transit", Function: k.function, Versions: map[int]string{}, MinVersion: floor}
	for v := 1; v <= latest; v++ {
		r.Versions[v] = k.pem
	}
	return r
}

// TestRetirementIsToldBeforeItHurts rotates and retires the key of what runs while the registry is away: a task event and
// the gauges tell at each step what would become of a restart, and only when that changed.
func TestRetirementIsToldBeforeItHurts(t *testing.T) {
	p := publish(t, quoteSpec, bySelf)
	p.host.log = slog.New(slog.DiscardHandler)
	a, told := p.admitted(t)
	for _, step := range []struct {
		latest, floor int
		want          standing
		told          string // part of the one event; "": none
	}{
		{1, 1, standing{1, 1, 1}, ""},
		{2, 1, standing{1, 2, 1}, "Attested by key version 1, and the latest is 2"},
		{2, 1, standing{1, 2, 1}, ""},
		{2, 2, standing{0, 2, 2}, "Would not start again: key version 1 attests it, and the lowest that counts is 2"},
		{2, 2, standing{0, 2, 2}, ""},
	} {
		a.look(t.Context(), p.key.ringOf(step.latest, step.floor))
		got := told()
		if a.standing() != step.want || (got == "") != (step.told == "") || !strings.Contains(got, step.told) || strings.Contains(got, "\n") {
			t.Errorf("version %d, floor %d: it stands at %+v and is told %q; want %+v, %q", step.latest, step.floor, a.standing(), got,
				step.want, step.told)
		}
	}
	p.host.mu.Lock()
	p.host.tasks["task"] = &task{request: control.StartRequest{TaskID: "task", AllocID: "alloc", Function: "quote"}, attested: a,
		status: control.Status{State: control.Running}}
	p.host.mu.Unlock()
	g := p.host.gauges().Attested
	p.host.mu.Lock()
	delete(p.host.tasks, "task")
	p.host.mu.Unlock()
	if len(g) != 1 || g[0].Version != 0 || g[0].Latest != 2 || g[0].Floor != 2 || g[0].Function != "quote" {
		t.Errorf("the gauges tell %+v", g)
	}
}

// TestRegistryWithholdsAttestations has a registry that lists none any more answer a host that looks for newer ones: what
// the node has is kept, in memory and on disk, and counts.
func TestRegistryWithholdsAttestations(t *testing.T) {
	p := publish(t, quoteSpec, bySelf)
	a, _ := p.admitted(t)
	asked := 0
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/referrers/") {
			asked++
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", p.ref.Digest)
		w.Header().Set("Content-Length", "2")
	}))
	defer registry.Close()
	a.ref.Registry = strings.TrimPrefix(registry.URL, "http://")
	p.host.config.Registry.Allow = []string{a.ref.Registry}
	a.look(t.Context(), p.key.ringOf(2, 1))
	if asked == 0 {
		t.Fatal("the registry was not asked for newer attestations")
	}
	if got := a.standing(); got.attested != 1 || len(a.bundles) != 1 {
		t.Errorf("it stands at %+v with %d attestations", got, len(a.bundles))
	}
	if l, err := p.host.cache.Load(t.Context(), nil, p.ref); err != nil || len(l.Bundles) != 1 {
		t.Errorf("on disk: %v; want the attestation that was there", err)
	}
}

// TestBehindAtStart admits what an earlier version attests: that is told once it is looked at, though nothing changed
// since.
func TestBehindAtStart(t *testing.T) {
	p := publish(t, quoteSpec, func(p *published, c attest.Claims) []byte {
		bundle, err := attest.Sign(context.Background(), p.key, c)
		must(t, err)
		return bundle
	})
	a, told := p.admitted(t) // Vault has versions 1 and 2
	if !a.standing().behind() {
		t.Fatalf("it stands at %+v", a.standing())
	}
	a.look(t.Context(), p.key.ringOf(2, 1))
	if got := told(); !strings.Contains(got, "the latest is 2") {
		t.Errorf("told is %q", got)
	}
}
