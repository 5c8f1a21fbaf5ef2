package hclspec

import "crypto/x509"

// bindings reads the bind blocks of an environment.
func (s *section) bindings(e *Environment) {
	seen := map[string]*section{}
	for _, b := range s.children["bind"] {
		if !s.checkName("function", b.name, b.label) {
			continue
		}
		if first := seen[b.name]; first != nil {
			s.duplicate(b, first.header)
			continue
		}
		seen[b.name] = b
		e.binds = append(e.binds, bindHeader{b.name, b.label})
		b.bind(e)
	}
}

// bind reads the bindings of one function. Those with a valid tag are kept even if they are wrong otherwise, so that
// Check does not call the tag unbound as well.
func (s *section) bind(e *Environment) {
	seen := map[string]*section{}
	for _, kind := range []string{"bind.storage", "bind.network"} {
		for _, c := range s.children[kind] {
			if !s.checkName("tag", c.name, c.label) {
				continue
			}
			if first := seen[c.name]; first != nil {
				s.duplicate(c, first.header)
				continue
			}
			seen[c.name] = c
			if kind == "bind.storage" {
				e.Storage = append(e.Storage, c.storageBinding(s.name))
			} else {
				e.Network = append(e.Network, c.networkBinding(s.name))
			}
		}
	}
}

func (s *section) storageBinding(function string) StorageBinding {
	b := StorageBinding{Function: function, Tag: s.name, Range: s.header}
	if at, ok := s.boolean("allocation_local", &b.AllocationLocal); ok && !b.AllocationLocal {
		s.errorAt(at, "allocation_local is false", "Remove it, or write true: the tag is then bound to a directory that is "+
			"gone with the allocation.")
	}
	var bound []string
	for _, name := range shapes["bind.storage"].attrs {
		if s.has(name) {
			bound = append(bound, name)
		}
	}
	switch {
	case len(bound) > 1:
		s.errorAt(s.attrs[bound[1]].NameRange, "Both "+bound[0]+" and "+bound[1], "A storage tag is bound to one of these: a "+
			"directory of the node (path), a Nomad host volume (volume), a CSI volume (csi_volume), or a directory of the "+
			"allocation (allocation_local). Remove the others.")
	case len(bound) == 0:
		s.errorAt(s.header, "Not bound to anything", "Add a directory of the node, path = \"/srv/%s\", a Nomad host volume, "+
			"volume = %q, a CSI volume, csi_volume = %q, or allocation_local = true.", s.name, s.name, s.name)
	}
	if at, ok := s.str("path", &b.Path); ok && !s.checkPath(b.Path, at) {
		b.Path = ""
	}
	s.matching("volume", &b.Volume, validNomadName.MatchString, "A volume has letters, digits, underscores and hyphens.")
	s.matching("csi_volume", &b.CSIVolume, validNomadName.MatchString, "A volume has letters, digits, underscores and hyphens.")
	return b
}

func (s *section) networkBinding(function string) NetworkBinding {
	b := NetworkBinding{Function: function, Tag: s.name, Range: s.header}
	var bound []string
	for _, name := range []string{"addresses", "service", "unix"} {
		if s.has(name) {
			bound = append(bound, name)
		}
	}
	switch {
	case len(bound) > 1:
		s.errorAt(s.attrs[bound[1]].NameRange, "Both "+bound[0]+" and "+bound[1], "A network tag is bound to one of these: addresses, "+
			"a service of Consul, or a Unix socket of the node (unix). Remove the others.")
	case len(bound) == 0:
		s.errorAt(s.header, "Not bound to anything", "Add addresses = [\"host.example:443\"], a service of Consul, service = %q, or a "+
			"Unix socket of the node, unix = \"/run/%s/socket\".", s.name, s.name)
	}
	for _, a := range s.list("addresses") {
		if !validAuthority(a.text, true) {
			s.errorAt(a.at, "Invalid address", "It is not a host and a port, such as \"rates.example:443\" or "+
				"\"[2001:db8::1]:53\".")
			continue
		}
		b.Addresses = append(b.Addresses, a.text)
	}
	switch a := s.attrs["addresses"]; {
	case len(b.Addresses) > maxAddresses:
		s.errorAt(a.Expr.Range(), "Too many addresses", "A tag has at most %d.", maxAddresses)
	case a != nil && len(s.list("addresses")) == 0:
		s.errorAt(a.Expr.Range(), "No address", "Write at least one: addresses = [\"host.example:443\"].")
	}
	s.matching("service", &b.Service, validService.MatchString, "The name of a service in Consul has letters, digits, hyphens, dots "+
		"and underscores.")
	if at, ok := s.str("unix", &b.Unix); ok && !s.checkPath(b.Unix, at) {
		b.Unix = ""
	}
	s.tls(&b)
	s.integer("max_connections", &b.Connections, 1, maxConnections)
	s.size("max_bytes", &b.Bytes, minMessage, maxStorage)
	s.size("max_bytes_per_second", &b.BytesPerSecond, minMessage, maxStorage)
	return b
}

// tls reads what makes the host encrypt.
func (s *section) tls(b *NetworkBinding) {
	s.oneOf("tls", &b.TLS, TLSHost)
	s.matching("tls_server_name", &b.TLSServerName, validHost.MatchString, "It is the name in the server's certificate.")
	if at, ok := s.prose("tls_ca", &b.TLSCA); ok && !x509.NewCertPool().AppendCertsFromPEM([]byte(b.TLSCA)) {
		s.errorAt(at, "No certificate", "tls_ca holds the certificates themselves, as PEM: tls_ca = <<PEM, their lines, and PEM.")
	}
	for _, name := range []string{"tls_server_name", "tls_ca"} {
		if s.has(name) && !s.has("tls") {
			s.errorAt(s.attrs[name].NameRange, name+" without tls", "Add tls = %q, or remove %s: the function encrypts itself.", TLSHost, name)
		}
	}
	if s.has("tls") && !s.has("tls_server_name") && (s.has("service") || s.has("unix")) {
		s.errorAt(s.attrs["tls"].NameRange, "tls without tls_server_name", "Say whose certificate the server has to have: "+
			"tls_server_name = \"db.example\".")
	}
}
