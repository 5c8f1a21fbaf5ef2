package artifact

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Registries are those that a node may read artifacts from. The zero value is none.
type Registries struct {
	// Allow has hosts ("registry.example", "registry.example:5000") and parts of them ("registry.example/shop", which is
	// everything below shop/). A host without a port has the usual one. No request goes anywhere else: also hosts that
	// the registry sends its clients to, for logins or blobs, have to be here.
	Allow []string
	// PlainHTTP says that they speak HTTP, not HTTPS.
	PlainHTTP bool
	// Logins is the path of a file in the form of Docker's config.json, of which "auths" are read, and no programs run.
	// Others than its owner must not be able to read it. "" is no login.
	Logins string
}

var allowed = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$` +
	`|^\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$`)

// Check finds what is wrong with the entries of Allow.
func (r Registries) Check() error {
	for _, entry := range r.Allow {
		if !allowed.MatchString(entry) {
			return fmt.Errorf("%.100q is not a registry such as registry.example.org:5000, nor a part of one such as "+
				"registry.example.org/functions", entry)
		}
	}
	return nil
}

// NotAllowedError says that a reference, or what a registry answered, leads to where nothing may be read from.
type NotAllowedError struct {
	Where string // registry and repository, or a host
}

// Error implements error.
func (e *NotAllowedError) Error() string {
	return fmt.Sprintf("%.200s is not among the registries that this node may pull from: add it to `registry.allow` in the "+
		"driver's plugin block if it should be", e.Where)
}

// Unverified marks the error as a refusal.
func (e *NotAllowedError) Unverified() bool { return true }

// Open returns the store of a reference's repository for reading, or a *NotAllowedError. Nothing is asked over the
// network yet.
func (r Registries) Open(ref Reference) (Store, error) {
	if !r.permits(ref) {
		return nil, &NotAllowedError{Where: ref.Registry + "/" + ref.Repository}
	}
	var login auth.CredentialFunc
	if r.Logins != "" {
		logins, err := readLogins(r.Logins)
		if err != nil {
			return nil, fmt.Errorf("reading the registry logins: %w", err)
		}
		login = credentials.Credential(logins)
	}
	return open(ref, transport, r.PlainHTTP, login, r.hosts())
}

// permits tells whether a reference is below an entry.
func (r Registries) permits(ref Reference) bool {
	for _, entry := range r.Allow {
		host, path, _ := strings.Cut(entry, "/")
		if r.sameHost(host, ref.Registry) && (path == "" || strings.HasPrefix(ref.Repository, path+"/")) {
			return true
		}
	}
	return false
}

func (r Registries) sameHost(a, b string) bool {
	return withPort(a, r.PlainHTTP) == withPort(b, r.PlainHTTP)
}

// hosts are those that may be spoken to.
func (r Registries) hosts() map[string]bool {
	hosts := map[string]bool{}
	for _, entry := range r.Allow {
		host, _, _ := strings.Cut(entry, "/")
		hosts[withPort(host, r.PlainHTTP)] = true
	}
	return hosts
}

// withPort spells a host in one way.
func withPort(host string, plainHTTP bool) string {
	port := "443"
	if plainHTTP {
		port = "80"
	}
	u := url.URL{Host: strings.ToLower(host)}
	if p := u.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// readLogins reads a file with passwords.
func readLogins(path string) (credentials.Store, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o: others may read the passwords in it; chmod 600, and change them",
			path, info.Mode().Perm())
	}
	return credentials.NewFileStore(path)
}

// fence lets requests go to some hosts only, redirects and logins included, and none back to plain HTTP.
type fence struct {
	http.RoundTripper
	hosts     map[string]bool // nil: any
	plainHTTP bool
}

// RoundTrip implements http.RoundTripper.
func (f fence) RoundTrip(r *http.Request) (*http.Response, error) {
	plain := r.URL.Scheme == "http"
	switch {
	case plain && !f.plainHTTP:
		return nil, &NotAllowedError{Where: "http://" + r.URL.Host + ", without TLS,"}
	case f.hosts != nil && !f.hosts[withPort(r.URL.Host, plain)]:
		return nil, &NotAllowedError{Where: "host " + r.URL.Host + ", to which the registry leads,"}
	}
	return f.RoundTripper.RoundTrip(r)
}
