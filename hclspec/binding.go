package hclspec

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
	switch {
	case s.has("path") && s.has("volume"):
		s.errorAt(s.attrs["volume"].NameRange, "Both path and volume", "A storage tag is bound to a directory of the "+
			"node (path) or to a Nomad host volume (volume). Remove one of them.")
	case !s.has("path") && !s.has("volume"):
		s.errorAt(s.header, "Neither path nor volume", "Add a directory of the node, path = \"/srv/%s\", or a Nomad host "+
			"volume, volume = %q.", s.name, s.name)
	}
	if at, ok := s.str("path", &b.Path); ok && !s.checkPath(b.Path, at) {
		b.Path = ""
	}
	s.matching("volume", &b.Volume, validNomadName.MatchString, "A volume has letters, digits, underscores and hyphens.")
	return b
}

func (s *section) networkBinding(function string) NetworkBinding {
	b := NetworkBinding{Function: function, Tag: s.name, Range: s.header}
	s.required("address", `"host.example:443"`)
	var address string
	at, ok := s.str("address", &address)
	switch {
	case !ok:
	case !validAuthority(address, true):
		s.errorAt(at, "Invalid address", "%s is not a host and a port, such as \"rates.example:443\" or "+
			"\"[2001:db8::1]:53\".",
			shown(s.attrs["address"].Expr, address))
	default:
		b.Address = address
	}
	return b
}
