package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func publicPEM(t testing.TB, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// versions makes keys for a range of versions.
func versions(t testing.TB, first, last int) map[int]string {
	t.Helper()
	m := map[int]string{}
	for v := first; v <= last; v++ {
		m[v] = publicPEM(t, elliptic.P256())
	}
	return m
}

// part is a ring with some of the versions, as Vault reports one with this floor.
func part(all map[int]string, floor, last, second int) KeyRing {
	m := maps.Clone(all)
	maps.DeleteFunc(m, func(v int, _ string) bool { return v < floor || v > last })
	return KeyRing{Mount: "transit", Function: "quote", Versions: m, MinVersion: floor,
		FetchedAt: time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)}
}

func TestKeyIDHasOneSpelling(t *testing.T) {
	for _, good := range []string{"hashivault://transit/quote:v1", "hashivault://team/a.b/transit_2/q-2:v120"} {
		id, err := ParseKeyID(good)
		if err != nil || id.String() != good {
			t.Errorf("%q: %+v, %v", good, id, err)
		}
	}
	for _, bad := range []string{
		"", "quote", "hashivault://", "hashivault://quote:v1", "hashivault://transit/quote", "hashivault://transit/quote:v",
		"hashivault://transit/quote:v0", "hashivault://transit/quote:v-1", "hashivault://transit/quote:v01",
		"hashivault://transit/quote:v+1", "hashivault://transit/quote:v1 ", "hashivault://transit/Quote:v1",
		"hashivault:///quote:v1", "hashivault://transit//quote:v1", "hashivault://../quote:v1", "hashivault://a/./quote:v1",
		"hashivault://transit/quote:v99999999999999999999", "HASHIVAULT://transit/quote:v1", "hashivault://a:v1/b",
		"hashivault://transit/" + strings.Repeat("q", 64) + ":v1",
	} {
		if id, err := ParseKeyID(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, id)
		}
	}
}

func TestPublic(t *testing.T) {
	ring := part(versions(t, 1, 3), 1, 3, 0)
	ring.MinVersion = 2
	if _, err := ring.Public(2); err != nil {
		t.Errorf("version 2: %v", err)
	}
	var retired *RetiredVersionError
	if _, err := ring.Public(1); !errors.As(err, &retired) || retired.MinVersion != 2 {
		t.Errorf("an archived version below the floor: %v", err)
	}
	var unknown *UnknownVersionError
	if _, err := ring.Public(4); !errors.As(err, &unknown) || unknown.Key.Version != 4 {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := (KeyRing{Versions: ring.Versions}).Public(2); err == nil {
		t.Error("a ring without a floor gave a key")
	}
	if ring.Latest() != 3 {
		t.Errorf("the latest version is %d", ring.Latest())
	}
}

// TestFingerprint compares with what ssh-keygen -l prints for a known key.
func TestFingerprint(t *testing.T) {
	const text = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkF756pStI4BDFR+NzHj8dPAMZbyD
fP6NFpo1tl0VruRtesPp/QUUBq8iIu1UHx8iwLIMXm23OBKf1BNHQnqurg==
-----END PUBLIC KEY-----
`
	ring := KeyRing{Mount: "transit", Function: "quote", Versions: map[int]string{1: text}, MinVersion: 1}
	key, err := ring.Public(1)
	if err != nil || key.Fingerprint() != "SHA256:CdLdhk5ogHEMp5oKkslIoRyh+Cke9xX8VJc4bs1ccNM" {
		t.Errorf("%q, %v", key.Fingerprint(), err)
	}
	if none := (PublicKey{}); none.Fingerprint() != "" || none.Verify(nil, nil) {
		t.Error("no key has a fingerprint or verifies something")
	}
}

func TestCheckRefuses(t *testing.T) {
	good := versions(t, 1, 1)
	private := strings.ReplaceAll(good[1], "PUBLIC", "PRIVATE")
	for name, edit := range map[string]func(*KeyRing){
		"no mount":        func(r *KeyRing) { r.Mount = "" },
		"path in name":    func(r *KeyRing) { r.Function = "../tax" },
		"no floor":        func(r *KeyRing) { r.MinVersion = 0 },
		"no versions":     func(r *KeyRing) { r.Versions = nil },
		"version 0":       func(r *KeyRing) { r.Versions = map[int]string{0: good[1]} },
		"not PEM":         func(r *KeyRing) { r.Versions = map[int]string{1: "key"} },
		"two PEM blocks":  func(r *KeyRing) { r.Versions = map[int]string{1: good[1] + good[1]} },
		"another curve":   func(r *KeyRing) { r.Versions = map[int]string{1: publicPEM(t, elliptic.P384())} },
		"a huge PEM":      func(r *KeyRing) { r.Versions = map[int]string{1: good[1] + strings.Repeat("\n", maxPEM)} },
		"another type":    func(r *KeyRing) { r.Versions = map[int]string{1: private} },
		"damaged content": func(r *KeyRing) { r.Versions = map[int]string{1: strings.Replace(good[1], "MFk", "MFo", 1)} },
	} {
		ring := part(good, 1, 1, 0)
		edit(&ring)
		if err := ring.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, _, err := (KeyRing{}).Merge(ring); err == nil {
			t.Errorf("%s: merged", name)
		}
	}
}

func TestMergeArchivesAndNeverLowersTheFloor(t *testing.T) {
	all := versions(t, 1, 4)
	first, change, err := KeyRing{}.Merge(part(all, 1, 2, 0))
	if err != nil || !slices.Equal(change.Added, []int{1, 2}) {
		t.Fatalf("%+v, %v", change, err)
	}
	second, change, err := first.Merge(part(all, 3, 4, 10))
	if err != nil || !slices.Equal(change.Added, []int{3, 4}) || change.OldFloor != 1 || change.HeldFloor != 0 {
		t.Fatalf("%+v, %v", change, err)
	}
	if len(second.Versions) != 4 || second.MinVersion != 3 {
		t.Errorf("versions %v and floor %d after a retirement", slices.Collect(maps.Keys(second.Versions)), second.MinVersion)
	}
	lowered, change, err := second.Merge(part(all, 1, 4, 20))
	if err != nil || lowered.MinVersion != 3 || change.HeldFloor != 1 || len(change.Added) != 0 {
		t.Errorf("the floor went back to %d: %+v, %v", lowered.MinVersion, change, err)
	}
}

func TestMergeDoesNotDependOnOrder(t *testing.T) {
	all := versions(t, 1, 4)
	answers := []KeyRing{part(all, 1, 2, 0), part(all, 2, 3, 10), part(all, 1, 4, 20)}
	var want KeyRing
	for i, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 0, 2, 1, 1}} {
		var ring KeyRing
		for _, n := range order {
			merged, _, err := ring.Merge(answers[n])
			if err != nil {
				t.Fatal(err)
			}
			ring = merged
		}
		if i == 0 {
			want = ring
		} else if !reflect.DeepEqual(ring, want) {
			t.Errorf("order %v gives another ring", order)
		}
	}
	if len(answers[0].Versions) != 2 {
		t.Error("merging changed its operand")
	}
}

func TestMergeRefusesAnotherKey(t *testing.T) {
	all, imposed := versions(t, 1, 2), versions(t, 1, 2)
	ring := part(all, 1, 2, 0)
	tax, elsewhere := part(all, 1, 2, 0), part(all, 1, 2, 0)
	tax.Function, elsewhere.Mount = "tax", "other"
	for name, fresh := range map[string]KeyRing{
		"replaced key": part(imposed, 1, 2, 10), "another function": tax, "another mount": elsewhere,
	} {
		var conflict *ConflictError
		if _, _, err := ring.Merge(fresh); !errors.As(err, &conflict) || !conflict.Unverified() {
			t.Errorf("%s: %v", name, err)
		}
	}
	spelt := part(all, 1, 2, 10)
	spelt.Versions[1] = strings.TrimSpace(spelt.Versions[1])
	if _, _, err := ring.Merge(spelt); err != nil {
		t.Errorf("the same key in other white space: %v", err)
	}
}

func TestStoreKeepsRings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rings")
	store, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load("quote"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading nothing: %v", err)
	}
	all := versions(t, 1, 3)
	if _, _, err := store.Update(part(all, 1, 2, 0)); err != nil {
		t.Fatal(err)
	}
	merged, change, err := store.Update(part(all, 2, 3, 10))
	if err != nil || !slices.Equal(change.Added, []int{3}) {
		t.Fatalf("%+v, %v", change, err)
	}
	loaded, err := store.Load("quote")
	if err != nil || !reflect.DeepEqual(loaded, merged) || len(loaded.Versions) != 3 || loaded.MinVersion != 2 {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	info, err := os.Stat(filepath.Join(dir, "quote.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := store.Load("../quote"); err == nil {
		t.Error("a path was taken for a name")
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	store, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := versions(t, 1, 2)
	fresh := part(all, 2, 2, 0)
	if _, _, err := store.Update(fresh); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "quote.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"empty": "", "truncated": string(good[:len(good)/2]), "zeroes": strings.Repeat("\x00", len(good)),
		"lowered floor":  strings.Replace(string(good), `"min_version": 2`, `"min_version": 1`, 1),
		"another format": strings.Replace(string(good), fileFormat, "v9", 1),
		"huge":           strings.Repeat(" ", maxFile+1),
	} {
		if src == string(good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := store.Load("quote"); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := store.Update(fresh); !errors.As(err, &corrupt) {
			t.Errorf("%s was replaced: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tax.json"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load("tax"); err == nil {
		t.Error("the ring of another function was accepted")
	}
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	dir := t.TempDir()
	all := versions(t, 1, 8)
	var wg sync.WaitGroup
	for v := 1; v <= 8; v++ {
		wg.Go(func() {
			store, err := NewStore(dir)
			if err == nil {
				_, _, err = store.Update(part(map[int]string{v: all[v]}, 1, v, v))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	store, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.Load("quote")
	if err != nil || !maps.Equal(ring.Versions, all) {
		t.Errorf("%d of 8 versions are left: %v", len(ring.Versions), err)
	}
}
