package keyring

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// maxVersions bounds a ring. Vault itself meets its own storage limit at a few thousand versions of a key.
const maxVersions = 4096

// KeyRing is everything needed to verify signatures of one function's artifact key offline. The zero value verifies
// nothing.
type KeyRing struct {
	Mount      string         `json:"mount"`       // path of the transit mount
	Function   string         `json:"function"`    // the key's name
	Versions   map[int]string `json:"versions"`    // version -> public key: PEM, SubjectPublicKeyInfo (RFC 5280), P-256
	MinVersion int            `json:"min_version"` // signatures of lower versions do not count any more
	FetchedAt  time.Time      `json:"fetched_at"`  // when Vault was last asked
}

// UnknownVersionError says that a ring has no key of a version: it never existed, or the ring is older than it.
type UnknownVersionError struct {
	Key KeyID
}

// Error implements error.
func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("no public key of %s is known: refresh the key ring from Vault if the key was just rotated", e.Key)
}

// RetiredVersionError says that a key version is below the floor.
type RetiredVersionError struct {
	Key        KeyID
	MinVersion int
}

// Error implements error.
func (e *RetiredVersionError) Error() string {
	return fmt.Sprintf("%s is retired: versions below %d do not count any more; sign again with the latest version",
		e.Key, e.MinVersion)
}

// KeyID names a version of the ring's key.
func (r KeyRing) KeyID(version int) KeyID {
	return KeyID{Mount: r.Mount, Function: r.Function, Version: version}
}

// Public returns the public key of a version that counts. The error is a *RetiredVersionError, an
// *UnknownVersionError, or says that the ring itself is malformed.
func (r KeyRing) Public(version int) (PublicKey, error) {
	if r.MinVersion < 1 {
		return PublicKey{}, fmt.Errorf("the key ring of function %.80q has no valid minimum version", r.Function)
	}
	if version < r.MinVersion {
		return PublicKey{}, &RetiredVersionError{Key: r.KeyID(version), MinVersion: r.MinVersion}
	}
	text, ok := r.Versions[version]
	if !ok {
		return PublicKey{}, &UnknownVersionError{Key: r.KeyID(version)}
	}
	key, err := parsePublic(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key of %s: %w", r.KeyID(version), err)
	}
	return PublicKey{ID: r.KeyID(version), key: key}, nil
}

// Latest returns the highest version in the ring, or 0.
func (r KeyRing) Latest() int {
	latest := 0
	for version := range r.Versions {
		latest = max(latest, version)
	}
	return latest
}

// Check tells everything that is wrong with a ring.
func (r KeyRing) Check() error {
	var errs []error
	if err := CheckMount(r.Mount); err != nil {
		errs = append(errs, err)
	}
	if err := CheckFunction(r.Function); err != nil {
		errs = append(errs, err)
	}
	if r.MinVersion < 1 {
		errs = append(errs, fmt.Errorf("the minimum version is %d, not 1 or more", r.MinVersion))
	}
	if n := len(r.Versions); n == 0 || n > maxVersions {
		errs = append(errs, fmt.Errorf("there are %d versions, not 1 to %d", n, maxVersions))
	}
	for version, text := range r.Versions {
		if version < 1 {
			errs = append(errs, fmt.Errorf("%d is not a version", version))
		}
		if _, err := parsePublic(text); err != nil {
			errs = append(errs, fmt.Errorf("version %d: %w", version, err))
		}
	}
	return errors.Join(errs...)
}

// Change says what a merge learned.
type Change struct {
	Added     []int // versions that are new, ascending
	OldFloor  int   // MinVersion before; below the merged ring's if versions were retired
	HeldFloor int   // the lower floor that was reported and not followed, or 0: log it
}

// ConflictError says that two rings cannot both be true: they belong to different keys, or one version has two public
// keys. It is a verification failure: Vault was replaced, or somebody answers in its place.
type ConflictError struct {
	Function string
	Reason   string
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("key ring of function %.80q: %s; if Vault was set up anew on purpose, remove the ring's file from "+
		"the node's cache", e.Function, e.Reason)
}

// Unverified marks the error as a verification failure.
func (e *ConflictError) Unverified() bool { return true }

// Merge joins what a ring knows with a newer answer of Vault's: the union of the public keys, the higher floor, the
// later time. The result does not depend on the order in which answers are merged. A zero ring takes everything from
// fresh. The error is a *ConflictError, or says what is wrong with fresh.
func (r KeyRing) Merge(fresh KeyRing) (KeyRing, Change, error) {
	if err := fresh.Check(); err != nil {
		return KeyRing{}, Change{}, fmt.Errorf("key ring of function %.80q: %w", fresh.Function, err)
	}
	merged := fresh
	merged.Versions = maps.Clone(fresh.Versions)
	if len(r.Versions) == 0 {
		return merged, Change{Added: sortedVersions(fresh.Versions), OldFloor: fresh.MinVersion}, nil
	}
	if r.Mount != fresh.Mount || r.Function != fresh.Function {
		return KeyRing{}, Change{}, &ConflictError{r.Function, fmt.Sprintf("the new ring is one of %s/%s, not of %s/%s",
			fresh.Mount, fresh.Function, r.Mount, r.Function)}
	}
	change := Change{OldFloor: r.MinVersion}
	for version, text := range r.Versions {
		if other, ok := fresh.Versions[version]; ok && !samePublic(text, other) {
			return KeyRing{}, Change{}, &ConflictError{r.Function,
				fmt.Sprintf("version %d has another public key than before", version)}
		}
		merged.Versions[version] = text
	}
	for _, version := range sortedVersions(fresh.Versions) {
		if _, known := r.Versions[version]; !known {
			change.Added = append(change.Added, version)
		}
	}
	if fresh.MinVersion < r.MinVersion {
		merged.MinVersion, change.HeldFloor = r.MinVersion, fresh.MinVersion
	}
	if r.FetchedAt.After(fresh.FetchedAt) {
		merged.FetchedAt = r.FetchedAt
	}
	return merged, change, nil
}
