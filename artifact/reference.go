package artifact

import (
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
)

// Reference names an artifact: registry/repository[:tag][@digest], as the OCI distribution spec 1.1 spells names.
type Reference struct {
	Registry   string // host, or host:port
	Repository string // path in the registry; its last part is the function's name
	Tag        string // or ""
	Digest     string // of the manifest, sha256:<hex>; or ""
}

// ParseReference reads a reference. With a digest the tag is for people only.
func ParseReference(s string) (Reference, error) {
	rest, sum, pinned := strings.Cut(s, "@")
	parsed, err := registry.ParseReference(rest)
	if err != nil {
		return Reference{}, fmt.Errorf("artifact reference %.200q is not of the form registry/repository[:tag][@digest]: %w",
			s, err)
	}
	r := Reference{Registry: parsed.Registry, Repository: parsed.Repository, Tag: parsed.Reference, Digest: sum}
	if pinned {
		if err := checkDigest(sum); err != nil {
			return Reference{}, fmt.Errorf("artifact reference %.200q: %w", s, err)
		}
	}
	return r, nil
}

// Function returns the last part of the repository: the function's name.
func (r Reference) Function() string { return path.Base(r.Repository) }

// WithDigest returns the reference pinned to a manifest.
func (r Reference) WithDigest(digest string) Reference {
	r.Digest = digest
	return r
}

// String returns the form that ParseReference reads.
func (r Reference) String() string {
	s := r.Registry + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// checkDigest accepts SHA-256 only: one algorithm everywhere, and names that are safe as file names.
func checkDigest(s string) error {
	d := digest.Digest(s)
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%.100q is not a digest sha256:<64 hexadecimal digits>", s)
	}
	return nil
}
