package hclspec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// io reads the I/O tags of f.
func (s *section) io(f *Function) {
	seen := map[string]hcl.Range{}
	tag := func(c *section) bool {
		first, again := seen[c.name]
		switch {
		case !s.checkName("tag", c.name, c.label):
			f.incomplete = true
			return false
		case again:
			s.errorAt(c.header, fmt.Sprintf("Second tag %q", c.name), "The first one is on line %d. A tag's name is its own "+
				"in the whole function, storage and network together: give this one another.", first.Start.Line)
			return false
		}
		seen[c.name] = c.header
		return true
	}
	for _, c := range s.children["io.storage"] {
		if tag(c) {
			f.Storage = append(f.Storage, c.storage())
			s.checkOverlap(f.Storage, c)
		}
	}
	for _, c := range s.children["io.network"] {
		if tag(c) {
			n := Network{Tag: c.name, Protocol: defaultProtocol, Range: c.header}
			c.oneOf("protocol", &n.Protocol, ProtocolTCP, ProtocolUDP)
			if at, ok := c.boolean("listen", &n.Listen); ok && n.Listen && n.Protocol == ProtocolUDP {
				c.errorAt(at, "Listening for datagrams", "A function listens for connections only: remove protocol = \"udp\", or listen.")
			}
			f.Network = append(f.Network, n)
		}
	}
	if n := len(f.Storage) + len(f.Network); n > maxTags {
		s.errorAt(s.header, "Too many tags", "A function may have at most %d I/O tags, but has %d. Split the function.",
			maxTags, n)
	}
}

func (s *section) storage() Storage {
	st := Storage{Tag: s.name, Access: defaultAccess, Path: "/" + s.name, MaxFiles: defaultMaxFiles, Range: s.header}
	s.oneOf("access", &st.Access, AccessReadOnly, AccessReadWrite)
	p := st.Path
	if at, ok := s.str("path", &p); ok && s.checkPath(p, at) {
		st.Path = p
	} else if !s.has("path") && !s.checkPath(p, s.label) { // a tag may be called proc
		st.Path = ""
	}
	s.size("max_bytes", &st.MaxBytes, minStorage, maxStorage)
	s.integer("max_files", &st.MaxFiles, 1, maxFiles)
	for limit, set := range map[string]bool{"max_bytes": st.MaxBytes > 0, "max_files": s.has("max_files")} {
		if set && st.Access == AccessReadOnly {
			s.warningAt(s.attrs[limit].NameRange, limit+" without effect",
				"The function cannot write to a read-only storage. Remove %s, or set access = %q.", limit, AccessReadWrite)
		}
	}
	return st
}

// checkOverlap tells whether the path of the last of all is inside that of another, or the other way round: one of
// the two would hide the other.
func (s *section) checkOverlap(all []Storage, last *section) {
	l := all[len(all)-1]
	at := last.header
	if a := last.attrs["path"]; a != nil {
		at = a.Expr.Range()
	}
	for _, o := range all[:len(all)-1] {
		if l.Path != "" && o.Path != "" && (within(l.Path, o.Path) || within(o.Path, l.Path)) {
			s.errorAt(at, "Storage paths overlap", "The path %q of tag %q overlaps with %q of tag %q on line %d. Give "+
				"each tag a directory of its own.", l.Path, l.Tag, o.Path, o.Tag, o.Range.Start.Line)
		}
	}
}
