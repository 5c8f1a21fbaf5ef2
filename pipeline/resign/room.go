package resign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"countersign/artifact"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
)

// Kept is how many attestations of its function's key an artifact carries at most after it was signed again, beside those that
// release records tell of. Nodes look at attest.MaxBundles, and read all of them when they pull an artifact.
const Kept = 16

// makeRoom takes attestations off an artifact that carries as many as are kept, before one is added: of those that name the
// function's key first what does not count, then the earliest versions. What release records tell of stays, since it is what can
// be repeated with an archived public key, and so does the latest that counts. What others attached, such as scans, is not touched.
//
// Many registries let nobody delete. That is an error only when nodes would not look at one more.
func makeRoom(ctx context.Context, store artifact.Store, ref artifact.Reference, bundles [][]byte, ring keyring.KeyRing,
	want attest.Want, recorded []Recorded) (removed int, err error) {
	old := superfluous(bundles, ring, want, recorded)
	if len(old) > 0 {
		removed, err = artifact.RemoveBundles(ctx, store, ref, func(bundle []byte) bool {
			return slices.ContainsFunc(old, func(o []byte) bool { return bytes.Equal(o, bundle) })
		})
	}
	if left := len(bundles) - removed; left >= attest.MaxBundles {
		full := fmt.Errorf("the artifact carries %d attestations, and nodes look at no more: delete those of retired versions from "+
			"the registry (`oras discover` lists them), or change the function", left)
		return removed, errors.Join(full, err)
	}
	return removed, nil
}

// superfluous returns the bundles that are to go.
func superfluous(bundles [][]byte, ring keyring.KeyRing, want attest.Want, recorded []Recorded) (old [][]byte) {
	type carried struct {
		bundle  []byte
		version int // that verified it; 0: it does not count
	}
	var own []carried
	for _, bundle := range bundles {
		id, err := attest.NamedKey(bundle)
		named := slices.ContainsFunc(recorded, func(f Recorded) bool { return f.Key == id.String() })
		if err != nil || id != ring.KeyID(id.Version) || named {
			continue
		}
		c := carried{bundle: bundle}
		if a, err := attest.Verify(bundle, ring, want); err == nil {
			c.version = a.Key.Version
		}
		own = append(own, c)
	}
	slices.SortStableFunc(own, func(a, b carried) int { return b.version - a.version })
	for _, c := range slices.Backward(own[min(len(own), Kept-1):]) {
		if len(old) < Kept { // each takes a few requests; the next time takes more
			old = append(old, c.bundle)
		}
	}
	return old
}
