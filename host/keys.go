package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/artifact"
	"countersign/host/control"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/identity/issue"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

const (
	// keyPeriod is how often the public keys of the functions that run are read anew: one login per function.
	keyPeriod = 5 * time.Minute
	// keyTime bounds one such reading, and asking the registry for newer attestations.
	keyTime = time.Minute
)

// standing is how the attestations of a running function stand to its key: whether it could start again.
type standing struct {
	attested int // latest version that attests it and counts; 0: none, so it would not start again
	latest   int // version of the key
	floor    int // lowest version that counts
}

func (s standing) behind() bool { return s.attested < s.latest }

// attested is the attestation of a running function, and what may become of it while it runs.
type attested struct {
	host    *Host
	request control.StartRequest
	ref     artifact.Reference
	want    attest.Want

	looking sync.Mutex // guards what follows, also while the registry is asked
	bundles [][]byte
	last    int      // version that attested it when it was last looked at and one did
	told    standing // what was told last

	mu  sync.Mutex // guards now
	now standing
}

// attestedNow is how the admitted artifact stands.
func (s *start) attestedNow(ring keyring.KeyRing, want attest.Want) *attested {
	version := s.attested.Key.Version
	return &attested{host: s.host, request: s.request, ref: s.loaded.Reference, want: want, bundles: s.loaded.Bundles,
		last: version, told: standing{attested: version, latest: version},
		now: standing{attested: version, latest: ring.Latest(), floor: ring.MinVersion}}
}

// standing returns how it stood when it was last looked at.
func (a *attested) standing() standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// look compares the attestations with a ring, and tells when the function would not start again, or might not soon.
// Unless the latest version attests it, the registry is asked for newer attestations.
func (a *attested) look(ctx context.Context, ring keyring.KeyRing) {
	a.looking.Lock()
	defer a.looking.Unlock()
	version, err := a.version(a.bundles, ring)
	if version < ring.Latest() {
		version, err = a.ask(ctx, ring, version, err)
	}
	if version > 0 {
		a.last = version
	}
	now := standing{attested: version, latest: ring.Latest(), floor: ring.MinVersion}
	a.mu.Lock()
	a.now = now
	a.mu.Unlock()
	if now.attested != a.told.attested || now.latest != a.told.latest {
		a.told = now
		a.tell(now, err)
	}
}

// version is the latest version that attests the artifact and counts; 0 and why if none does.
func (a *attested) version(bundles [][]byte, ring keyring.KeyRing) (int, error) {
	found, err := attest.VerifyAny(bundles, ring, a.want)
	if err != nil {
		return 0, err
	}
	return found.Key.Version, nil
}

// ask takes newer attestations from the registry if there are any that are worth more than what the node has. What the
// registry leaves out is kept: it is nobody who may stop a function from starting.
func (a *attested) ask(ctx context.Context, ring keyring.KeyRing, version int, refusal error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	log := a.host.log.With("function", a.request.Function, "allocation", a.request.AllocID)
	store, err := a.host.registries().Open(a.ref)
	var bundles [][]byte
	if err == nil {
		bundles, err = artifact.Bundles(ctx, store, a.ref)
	}
	if err != nil {
		log.Warn("the registry could not be asked for newer attestations", "error", err)
		return version, refusal
	}
	newer, err := a.version(bundles, ring)
	if newer <= version {
		return version, errors.Join(refusal, err)
	}
	a.bundles = bundles
	if err := a.host.cache.ReplaceBundles(a.ref, bundles); err != nil {
		log.Warn("newer attestations could not be cached", "error", err)
	}
	return newer, nil
}

// tell says how the function stands, in the log and as an event of its task.
func (a *attested) tell(now standing, refusal error) {
	log := a.host.log.With("function", a.request.Function, "allocation", a.request.AllocID, "artifact", a.request.Artifact,
		"attested_version", now.attested, "latest_version", now.latest, "min_version", now.floor)
	event := func(format string, args ...any) string {
		text := fmt.Sprintf(format, args...)
		a.host.events.send(a.request.TaskID, text)
		return text
	}
	switch {
	case now.attested == 0:
		log.Error(event("Would not start again: key version %d attests it, and the lowest that counts is %d; deploy it, which "+
			"signs again", a.last, now.floor), "error", refusal)
	case now.behind():
		log.Warn(event("Attested by key version %d, and the latest is %d: deploy it, which signs again, before version %[1]d "+
			"is retired", now.attested, now.latest))
	default:
		log.Info(event("Attested by key version %d, the latest", now.attested))
	}
}

// refreshKeys keeps this node's copy of a function's public keys fresh, with a login that was made anyway, and looks at
// what runs with them.
func (h *Host) refreshKeys(ctx context.Context, vault *api.Client, function string) error {
	client, err := transit.New(vault, h.config.Vault.TransitMount)
	if err != nil {
		return err
	}
	fresh, err := client.PublicKeys(ctx, function)
	if err != nil {
		return err
	}
	ring, err := h.updateRing(fresh)
	if err != nil {
		return err
	}
	for _, t := range h.running() {
		if t.request.Function == function && t.attested != nil {
			t.attested.look(ctx, ring)
		}
	}
	return nil
}

// running returns the tasks that have not exited.
func (h *Host) running() (list []*task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tasks {
		if t.Status().State == control.Running {
			list = append(list, t)
		}
	}
	return list
}

// keepKeys refreshes the public keys of the functions that run until the host stops.
func (h *Host) keepKeys() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(keyPeriod):
		}
		h.refreshAllKeys()
	}
}

// refreshAllKeys logs in once for each function that runs. While Vault is away it gives up at the first.
func (h *Host) refreshAllKeys() {
	seen := map[string]bool{}
	for _, t := range h.running() {
		if seen[t.request.Function] || t.attested == nil {
			continue
		}
		seen[t.request.Function] = true
		err := h.refreshKeysAs(t)
		var unreachable *transit.UnreachableError
		if err != nil && h.ctx.Err() == nil {
			h.log.Warn("the public keys could not be refreshed; those that the node has are used", "function", t.request.Function,
				"error", err)
		}
		if errors.As(err, &unreachable) {
			return
		}
	}
}

// refreshKeysAs logs in as a task's allocation to refresh the keys of its function.
func (h *Host) refreshKeysAs(t *task) error {
	ctx, cancel := context.WithTimeout(h.ctx, keyTime)
	defer cancel()
	login, err := issue.LogIn(ctx, h.vault(), jwtOf(t.request))
	if err != nil {
		return err
	}
	err = h.refreshKeys(ctx, login.Client(), t.request.Function)
	return errors.Join(err, login.Close(context.WithoutCancel(ctx)))
}
