package driver

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"countersign"
	"countersign/artifact"
	"countersign/host/control"
	"countersign/host/ingress/token"
)

// hostConfig fills in the defaults of docs/driver.md.
func hostConfig(raw pluginConfig) control.HostConfig {
	return control.HostConfig{
		DataDir:     cmp.Or(raw.DataDir, "/var/lib/countersign"),
		Bind:        cmp.Or(raw.Bind, "127.0.0.1"),
		Port:        raw.Port,
		TrustDomain: cmp.Or(raw.TrustDomain, "countersign.local"),
		PlainHTTP:   raw.PlainHTTP,
		LogLevel:    cmp.Or(raw.LogLevel, "info"),
		Vault: control.Vault{
			Address:      raw.Vault.Address,
			Namespace:    raw.Vault.Namespace,
			CACert:       raw.Vault.CACert,
			AuthMount:    cmp.Or(raw.Vault.AuthMount, "jwt-nomad"),
			AuthRole:     cmp.Or(raw.Vault.AuthRole, "countersign-function"),
			TransitMount: cmp.Or(raw.Vault.TransitMount, "transit"),
			PKIMount:     cmp.Or(raw.Vault.PKIMount, "pki"),
			PKIRole:      cmp.Or(raw.Vault.PKIRole, "function"),
		},
		Registry:     control.Registry(raw.Registry),
		StorageAllow: raw.Storage.Allow,

		NetworkAllowUnix: raw.Network.AllowUnix,

		Consul:    control.Consul(raw.Consul),
		Ingress:   ingress(raw.Ingress),
		Telemetry: control.Telemetry(raw.Telemetry),
	}
}

func ingress(raw ingressConfig) control.Ingress {
	in := control.Ingress{Names: raw.Names, MaxCalls: raw.MaxCalls}
	for _, j := range raw.JWT {
		in.Issuers = append(in.Issuers, control.Issuer(j))
	}
	return in
}

var (
	reference = regexp.MustCompile(`^[^/@\s]+(/[^/@\s]+)+@sha256:[0-9a-f]{64}$`)
	logLevels = []string{"debug", "info", "warn", "error"}
)

// check returns everything that is wrong with a configuration, one problem a line.
func check(c control.HostConfig) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.DataDir) {
		wrong("data_dir %q is not an absolute path", c.DataDir)
	}
	if ip := net.ParseIP(c.Bind); ip == nil || ip.IsUnspecified() {
		wrong("bind %q is not an IP address of this node: it is where other nodes call this one", c.Bind)
	}
	if c.Port < 0 || c.Port > 65535 {
		wrong("port %d is not a TCP port; 0 takes any free one", c.Port)
	}
	if !countersign.ValidTrustDomain(c.TrustDomain) {
		wrong("trust_domain %q is not a SPIFFE trust domain such as example.org", c.TrustDomain)
	}
	if !slices.Contains(logLevels, c.LogLevel) {
		wrong("log_level %q is none of %v", c.LogLevel, logLevels)
	}
	if c.Vault.Address == "" {
		wrong("vault.address is missing: functions get their call certificates and keys from Vault")
	}
	for name, address := range map[string]string{
		"vault.address": c.Vault.Address, "consul.address": c.Consul.Address, "telemetry.otlp_endpoint": c.Telemetry.OTLPEndpoint,
	} {
		if address != "" && !isURL(address) {
			wrong("%s is not a URL such as https://host.example.org:8200, without credentials", name)
		}
	}
	for name, list := range map[string][]string{"storage.allow": c.StorageAllow, "network.allow_unix": c.NetworkAllowUnix} {
		for _, dir := range list {
			if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
				wrong("%s %q is not an absolute path of a directory below the root, in its shortest form", name, dir)
			}
			if within(dir, c.DataDir) || within(c.DataDir, dir) {
				wrong("%s %q and data_dir %q are one in the other: functions would reach what the host keeps", name, dir, c.DataDir)
			}
		}
	}
	if err := (artifact.Registries{Allow: c.Registry.Allow}).Check(); err != nil {
		wrong("registry.allow: %w", err)
	}
	for name, path := range map[string]string{
		"registry.logins": c.Registry.Logins,
		"vault.ca_cert":   c.Vault.CACert, "consul.ca_cert": c.Consul.CACert, "consul.token_file": c.Consul.TokenFile,
		"telemetry.otlp_ca_cert": c.Telemetry.OTLPCACert,
	} {
		if path != "" && !filepath.IsAbs(path) {
			wrong("%s %q is not an absolute path", name, path)
		}
	}
	if r := c.Telemetry.SampleRatio; r < 0 || r > 1 {
		wrong("telemetry.sample_ratio %v is not between 0 and 1", r)
	}
	return errors.Join(append(problems, checkIngress(c.Ingress)...)...)
}

// checkIngress returns what is wrong with an ingress block.
func checkIngress(c control.Ingress) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, name := range c.Names {
		if name == "" || strings.ContainsAny(name, "/@ ") {
			wrong("ingress.names: %q is not a host or host:port, as it stands in the URLs of callers", name)
		}
	}
	if c.MaxCalls < 0 {
		wrong("ingress.max_calls %d is below 0", c.MaxCalls)
	}
	for _, j := range c.Issuers {
		switch {
		case !isURL(j.Issuer):
			wrong("ingress.jwt.issuer is not a URL: it is what the tokens' iss claim holds")
		case token.CheckAddress(cmp.Or(j.JWKSURL, j.Issuer)) != nil:
			wrong("ingress.jwt of issuer %s: %w", j.Issuer, token.CheckAddress(cmp.Or(j.JWKSURL, j.Issuer)))
		case j.Audience == "":
			wrong("ingress.jwt.audience of issuer %s is missing: tokens that are meant for others must not pass", j.Issuer)
		case j.CACert != "" && !filepath.IsAbs(j.CACert):
			wrong("ingress.jwt.ca_cert %q is not an absolute path", j.CACert)
		}
	}
	return problems
}

// isURL accepts an HTTP URL without credentials.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

// within tells whether a path is dir or below.
func within(dir, path string) bool {
	below, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(below)
}
