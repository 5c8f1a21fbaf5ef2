package hclspec

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"countersign"

	"github.com/hashicorp/hcl/v2"
)

var (
	// OCI distribution specification, "Pulling manifests": <name>.
	validRepository = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	validHost       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	validMount      = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
	validNomadName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) // namespace, host volume
	validService    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)
	validPlace      = regexp.MustCompile(`^[A-Za-z0-9_.*-]{1,128}$`)
)

// ParseEnvironment reads an environment file, which holds one environment; filename only names it in diagnostics.
// env are the variables that the file may read as env.NAME. With a nil env they are not known: what depends on them is
// left empty and not checked, which is enough to check a file far from the cluster it describes.
//
// With errors, the environment holds what could be read, or is nil; it is good for Check and for nothing else.
func ParseEnvironment(filename string, src []byte, env map[string]string) (*Environment, hcl.Diagnostics) {
	body, diags := parseBody(filename, src)
	if diags.HasErrors() {
		return nil, finish(diags)
	}
	r := &reader{scope: &scope{env: env}}
	top := r.open("environment file", body, hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos})
	all := top.children["environment"]
	if len(body.Blocks) == 0 {
		r.errorAt(top.header, "No environment", "An environment file holds one environment block: "+
			"environment \"dev\" { … }")
	}
	if len(all) == 0 {
		return nil, finish(r.diags)
	}
	e := all[0].environment()
	return e, finish(r.diags)
}

func (s *section) environment() *Environment {
	s.checkName("environment", s.name, s.label)
	e := &Environment{Name: s.name, TrustDomain: defaultTrustDomain, Range: s.header}
	s.matching("trust_domain", &e.TrustDomain, countersign.ValidTrustDomain, "A trust domain is a name such as countersign.local: "+
		"lower-case letters, digits, dots, hyphens and underscores, without spiffe:// in front.")
	for _, kind := range []string{"registry", "nomad", "consul", "vault"} {
		if len(s.children[kind]) == 0 {
			s.errorAt(s.header, fmt.Sprintf("No %s block", kind), "Add: %s {\n  address = \"…\"\n}", kind)
		}
	}
	for _, c := range s.children["registry"] {
		e.Registry = c.registry()
	}
	for _, c := range s.children["nomad"] {
		e.Nomad = c.nomad()
	}
	for _, c := range s.children["consul"] {
		c.serverURL(&e.Consul.Address, "http://")
	}
	for _, c := range s.children["vault"] {
		e.Vault = c.vault()
	}
	s.bindings(e)
	return e
}

// matching reads text that has to match a pattern; form describes it.
func (s *section) matching(name string, to *string, valid func(string) bool, form string) {
	var text string
	at, ok := s.str(name, &text)
	if !ok {
		return
	}
	if !valid(text) {
		s.errorAt(at, "Invalid "+name, "%s does not fit. %s", shown(s.attrs[name].Expr, text), form)
		return
	}
	*to = text
}

// required reports an attribute that is absent.
func (s *section) required(name, example string) {
	if !s.has(name) {
		s.errorAt(s.header, name+" is missing", "Add: %s = %s", name, example)
	}
}

func (s *section) registry() Registry {
	reg := Registry{Deltas: defaultDeltas}
	s.required("address", `"registry.example:5000"`)
	if at, ok := s.str("address", &reg.Address); ok {
		s.checkRegistry(reg.Address, at)
	}
	s.matching("prefix", &reg.Prefix, validRepository.MatchString, "A prefix is a path in the registry such as teams/shop: "+
		"lower-case letters and digits, with dots, underscores, hyphens and slashes between them.")
	s.boolean("plain_http", &reg.PlainHTTP)
	s.integer("deltas", &reg.Deltas, 0, maxDeltas)
	return reg
}

func (s *section) checkRegistry(address string, at hcl.Range) {
	if rest, ok := strings.CutPrefix(address, "http://"); ok && validAuthority(rest, false) {
		s.errorAt(at, "Registry address with a scheme", "Write it without http://, and add plain_http = true.")
	} else if rest, ok := strings.CutPrefix(address, "https://"); ok && validAuthority(rest, false) {
		s.errorAt(at, "Registry address with a scheme", "Write it without https://.")
	} else if !validAuthority(address, false) {
		s.errorAt(at, "Invalid registry address", "%s is not a host with an optional port, such as registry.example:5000. A "+
			"path goes into prefix.", shown(s.attrs["address"].Expr, address))
	}
}

func (s *section) nomad() Nomad {
	var n Nomad
	s.serverURL(&n.Address, "")
	s.matching("region", &n.Region, validPlace.MatchString, "A region has letters, digits, dots, underscores and hyphens.")
	s.matching("namespace", &n.Namespace, validNomadName.MatchString, "A namespace has letters, digits, underscores and hyphens.")
	for _, d := range s.list("datacenters") {
		if !validPlace.MatchString(d.text) {
			s.errorAt(d.at, "Invalid datacenter", "A datacenter has letters, digits, dots, underscores and hyphens; * stands "+
				"for any.")
			continue
		}
		n.Datacenters = append(n.Datacenters, d.text)
	}
	return n
}

func (s *section) vault() Vault {
	v := Vault{TransitMount: defaultTransitMount, PKIMount: defaultPKIMount}
	const mount = "A mount is a path in Vault such as transit or teams/transit, without slashes at its ends."
	s.serverURL(&v.Address, "")
	s.matching("namespace", &v.Namespace, validMount.MatchString, "A Vault namespace is a path without slashes at its ends.")
	s.matching("transit_mount", &v.TransitMount, validMount.MatchString, mount)
	s.matching("pki_mount", &v.PKIMount, validMount.MatchString, mount)
	return v
}

// serverURL reads the address of a server: a URL of a scheme and an authority, nothing more. assumed is the scheme of
// an address without one, or "". A URL with a password is refused, and not shown: environment files are committed.
func (s *section) serverURL(to *string, assumed string) {
	s.required("address", `"https://`+s.kind+`.example"`)
	var text string
	at, ok := s.str("address", &text)
	if !ok {
		return
	}
	full := text
	if !strings.Contains(full, "://") {
		full = assumed + full
	}
	u, err := url.Parse(full)
	switch {
	case err == nil && u.User != nil:
		s.errorAt(at, "Password in an address", "Remove the part before the @. Tokens come from the process environment, "+
			"such as VAULT_TOKEN, and never from a file.")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !validAuthority(u.Host, false):
		s.errorAt(at, "Invalid address", "Write a URL with http or https, a host and an optional port, such as "+
			"\"https://%s.example:8443\".", s.kind)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		s.errorAt(at, "Address with a path", "Write scheme, host and port only: remove what follows them.")
	default:
		*to = u.Scheme + "://" + u.Host
	}
}

// validAuthority tells whether text is a host name or IP address with a port, which may be missing unless needPort.
func validAuthority(text string, needPort bool) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if needPort {
			return false
		}
		host, port = text, "1"
		if inner, ok := strings.CutPrefix(text, "["); ok {
			host = strings.TrimSuffix(inner, "]")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && len(host) <= 253 && (validHost.MatchString(host) || net.ParseIP(host) != nil)
}
