package attest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"countersign"
)

const (
	// maxText bounds every string of a statement, in bytes.
	maxText = 2048
	// maxFiles bounds the files of one artifact.
	maxFiles = 16
)

var (
	printable = regexp.MustCompile(`^[^\pC]+$`)
	scpLike   = regexp.MustCompile(`^([\w.-]+@)?[\w.-]+:[^/]`) // [user@]host:path, as git-clone(1) takes it
)

// Claims is what an attestation states about one artifact. Every field is required but Ref, Builder.Version and the last
// three.
type Claims struct {
	Function        string  // name of the function and of its key
	Repository      string  // where git finds the source: a URL or a path; without password, query or fragment
	Commit          string  // full commit of the source: 40 or 64 hexadecimal digits
	Target          string  // Bazel label of what was built
	Ref             string  // branch or tag whose history holds the commit; "" in attestations from before it was stated
	ManifestDigest  string  // sha256:<hex> of the OCI manifest
	Files           []File  // the WebAssembly module, or the native executables
	SpecDigest      string  // sha256:<hex> of the function spec's bytes
	InterfaceDigest string  // sha256:<hex> of the interface that callers see
	Builder         Builder // who built it

	Tests       Tests       // what became of the function's tests; "" in attestations from before it was stated
	Deployer    Deployer    // who had it signed after it was built; not stated in earlier attestations
	SignedAgain SignedAgain // the attestation that this one repeats, or a zero value
}

// Tests is what became of the tests of a function when it was deployed.
type Tests string

// What can have become of them.
const (
	TestsPassed  Tests = "passed"  // all of them
	TestsNone    Tests = "none"    // there is no test of what the artifact is made of
	TestsSkipped Tests = "skipped" // they were not run
)

// File is one executable file of an artifact.
type File struct {
	Name   string // such as quote.wasm
	Digest string // sha256:<hex>
}

// Builder is who or what built an artifact: SLSA's runDetails.builder.
type Builder struct {
	ID      string            // URI
	Version map[string]string // component -> version, such as bazel -> 7.4.0; may be empty
}

// check tells everything that keeps claims from being stated.
func (c Claims) check() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(countersign.ValidName(c.Function), "%.80q is not a function name", c.Function)
	require(c.Function != countersign.ReleaseKey, "the key %s signs releases, not functions", countersign.ReleaseKey)
	require(countersign.ValidCommit(c.Commit), "%.80q is not a full git commit", c.Commit)
	require(c.Ref == "" || countersign.ValidRef(c.Ref), "%.80q is not the name of a branch or tag", c.Ref)
	require(isText(c.Target), "the build target is missing or unprintable")
	for what, digest := range map[string]string{
		"manifest": c.ManifestDigest, "spec": c.SpecDigest, "interface": c.InterfaceDigest,
	} {
		require(countersign.ValidDigest(digest), "the %s digest %.80q is not sha256:<hex>", what, digest)
	}
	switch c.Tests {
	case "", TestsPassed, TestsNone, TestsSkipped:
	default:
		require(false, "%.80q is not what can have become of tests", c.Tests)
	}
	id, err := url.Parse(c.Builder.ID)
	require(isText(c.Builder.ID) && err == nil && id.Scheme != "" && id.User == nil, "the builder's ID is not a URI")
	require(len(c.Files) > 0 && len(c.Files) <= maxFiles, "there are %d files, not 1 to %d", len(c.Files), maxFiles)
	seen := map[string]bool{c.Function: true, c.ManifestDigest: true}
	for _, f := range c.Files {
		require(isText(f.Name) && countersign.ValidDigest(f.Digest), "file %.80q has no name or no sha256 digest", f.Name)
		require(!seen[f.Name] && !seen[f.Digest], "file %.80q or its content is there twice", f.Name)
		seen[f.Name], seen[f.Digest] = true, true
	}
	for component, version := range c.Builder.Version {
		require(isText(component) && isText(version), "the builder's version of %.80q is missing or unprintable", component)
	}
	_, err = sourceURI(c.Repository)
	return errors.Join(append(errs, err, c.Deployer.check(), c.SignedAgain.check(c.Function))...)
}

func isText(s string) bool { return len(s) <= maxText && printable.MatchString(s) }

// sourceURI writes a repository as the download location of SPDX 2.3 clause 7.7: git+<URL>. What could carry a secret
// into a document that everybody may read is refused, and the error does not repeat it.
func sourceURI(repository string) (string, error) {
	if !isText(repository) {
		return "", errors.New("the source repository is missing, too long or unprintable")
	}
	if strings.HasPrefix(repository, "/") {
		return "git+" + (&url.URL{Scheme: "file", Path: repository}).String(), nil
	}
	if !strings.Contains(repository, "://") && scpLike.MatchString(repository) {
		host, path, _ := strings.Cut(repository, ":")
		repository = "ssh://" + host + "/" + path
	}
	u, err := url.Parse(strings.TrimPrefix(repository, "git+"))
	if err != nil || u.Scheme == "" {
		return "", errors.New("the source repository is not a URL, an absolute path or user@host:path")
	}
	if _, secret := u.User.Password(); secret || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the URL of the source repository holds a password, query or fragment: name it without " +
			"(git's credential helpers are the place for secrets)")
	}
	return "git+" + u.String(), nil
}
