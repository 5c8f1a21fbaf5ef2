package release

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign"
)

const (
	// maxText bounds every string of a record, in bytes.
	maxText = 2048
	// maxKey bounds a public key, in bytes of its DER.
	maxKey = 1024
	// MaxNumber bounds the number of a release.
	MaxNumber = 1_000_000_000
	// keyScheme begins the ID of a key in Vault (docs/attestation-format.md).
	keyScheme = "hashivault://"
)

var (
	// artifactName is registry/repository: a host, maybe with a port, and the <name> of the OCI distribution specification.
	artifactName = regexp.MustCompile(`^[A-Za-z0-9.:\[\]_-]+(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$`)
	mountPath    = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
)

// check tells everything that keeps a record from being encoded.
func (r *Record) check() error {
	var errs []error
	if !countersign.ValidName(r.Environment) {
		errs = append(errs, fmt.Errorf("the environment's name %.80q is not %s", r.Environment, countersign.NameForm))
	}
	errs = append(errs, r.checkKept(), r.checkKeys())
	for _, name := range r.Names() {
		if err := r.Functions[name].check(name); err != nil {
			errs = append(errs, fmt.Errorf("function %.80q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// checkKept tells what is wrong with what only a record that is kept has.
func (r *Record) checkKept() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(r.Number >= 1 && r.Number <= MaxNumber, "the number %d is not 1 to %d", r.Number, MaxNumber)
	require(r.Number == 1 && r.Parent == "" || r.Number > 1 && countersign.ValidDigest(r.Parent),
		"the parent %.80q of record %d is not the digest of a record, or the first has one", r.Parent, r.Number)
	require(r.Created.Equal(r.Created.Truncate(time.Second)) && r.Created.Location() == time.UTC && r.Created.Year() >= 2020 &&
		r.Created.Year() <= 9999, "the time %s is not in UTC, in whole seconds, or no time of a release", r.Created)
	require(slices.Contains(actions, r.Action), "%.80q is not what makes a release", r.Action)
	back := r.Action == ActionRollback
	require(r.Restores >= 0 && r.Restores < r.Number && (r.Restores == 0 || back || r.Action == ActionRollforward) &&
		(r.Restores != 0 || r.Action != ActionRollforward), "a release made by a %s can't restore release %d", r.Action, r.Restores)
	require(back && r.TakesBack > 0 && r.TakesBack == r.Number-1 || !back && r.TakesBack == 0,
		"record %d, made by a %s, can't take back release %d", r.Number, r.Action, r.TakesBack)
	for _, text := range []string{r.Deployer.Entity, r.Deployer.EntityID, r.Deployer.DisplayName} {
		require(text == "" || isText(text), "the name %.80q of who deployed is too long or unprintable", text)
	}
	require(r.Deployer.Name() != "", "it does not say who deployed")
	return errors.Join(errs...)
}

// checkKeys tells whether the archive has the public half of each key version that a function names, and no other.
func (r *Record) checkKeys() error {
	var errs []error
	used := map[string]bool{}
	for _, name := range r.Names() {
		key := r.Functions[name].Key
		used[key] = true
		if _, ok := r.Keys[key]; !ok {
			errs = append(errs, fmt.Errorf("the public key of %.80q is missing", key))
		}
	}
	for id, key := range r.Keys {
		if der, err := base64.StdEncoding.Strict().DecodeString(key); !used[id] || err != nil || len(der) == 0 || len(der) > maxKey {
			errs = append(errs, fmt.Errorf("the key %.80q is not one of a function, or its public half is not base64", id))
		}
	}
	return errors.Join(errs...)
}

func (f Function) check(name string) error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(countersign.ValidName(name), "the name is not %s", countersign.NameForm)
	require(len(f.Artifact) <= maxText && artifactName.MatchString(f.Artifact) && path.Base(f.Artifact) == name,
		"the artifact %.80q is not registry/repository, with the function's name at its end", f.Artifact)
	for what, digest := range map[string]string{
		"artifact": f.ArtifactDigest, "spec": f.SpecDigest, "interface": f.InterfaceDigest,
	} {
		require(countersign.ValidDigest(digest), "the %s digest %.80q is not sha256:<64 hexadecimal digits>", what, digest)
	}
	for i, callee := range f.Callees {
		require(countersign.ValidName(callee), "the callee %.80q is not a function's name", callee)
		require(i == 0 || f.Callees[i-1] < callee, "the callees are not sorted, or %.80q is there twice", callee)
	}
	for _, callee := range slices.Sorted(maps.Keys(f.Calls)) {
		require(slices.Contains(f.Callees, callee), "it is built with %.80q, which is not among its callees", callee)
		require(countersign.ValidDigest(f.Calls[callee]), "the interface digest %.80q of callee %.80q is not "+
			"sha256:<64 hexadecimal digits>", f.Calls[callee], callee)
	}
	require(isText(f.Repository), "the repository is missing, too long or unprintable")
	require(countersign.ValidCommit(f.Commit), "the commit %.80q is not a full git commit", f.Commit)
	require(isKeyOf(name, f.Key), "the key %.80q is not %s<mount>/%s:v<version>", f.Key, keyScheme, name)
	return errors.Join(errs...)
}

// isText accepts what JSON has one canonical spelling of: no control characters, and no line or paragraph separators.
func isText(s string) bool {
	return s != "" && len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsGraphic(c) || c == '\u2028' || c == '\u2029'
	})
}

// isKeyOf tells whether key is the ID of a version of the function's key, in its one spelling.
func isKeyOf(function, key string) bool {
	rest, ok := strings.CutPrefix(key, keyScheme)
	at := strings.LastIndex(rest, "/"+function+":v")
	if !ok || at < 0 || len(key) > maxText || !mountPath.MatchString(rest[:at]) {
		return false
	}
	version := rest[at+len("/"+function+":v"):]
	n, err := strconv.ParseInt(version, 10, 32)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == version
}
