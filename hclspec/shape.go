package hclspec

import (
	"slices"
	"strings"
)

// shape lists what a kind of block may hold.
type shape struct {
	file   string   // which file format it belongs to: inSpec or inEnvironment
	title  string   // how diagnostics call it
	label  string   // what its label is; "" for a block without
	many   bool     // it may stand several times in its parent
	attrs  []string // in the order of the documentation
	blocks []string // kinds; see blockType
}

const (
	inSpec        = "a function spec"
	inEnvironment = "an environment file"
)

// The kinds of blocks. A kind is the block's type, with the parent's in front where one type has two meanings.
var shapes = map[string]shape{
	"spec file": {file: inSpec, title: "a function spec", blocks: []string{"function"}},
	"function": {
		file: inSpec, title: "a function block", label: "name", many: true,
		attrs:  []string{"description", "target", "runtime", "calls"},
		blocks: []string{"io", "resources", "scaling", "call", "ingress"},
	},
	"io": {file: inSpec, title: "an io block", blocks: []string{"io.storage", "io.network"}},
	"io.storage": {
		file: inSpec, title: "a storage block", label: "tag", many: true, attrs: []string{"access", "path", "max_bytes", "max_files"},
	},
	"io.network": {file: inSpec, title: "a network block", label: "tag", many: true, attrs: []string{"protocol", "listen"}},
	"resources": {
		file: inSpec, title: "a resources block", attrs: []string{"cpu", "memory", "concurrency"},
	},
	"scaling": {file: inSpec, title: "a scaling block", attrs: []string{"min", "max", "target_concurrency"}},
	"call": {
		file: inSpec, title: "a call block", attrs: []string{"timeout", "idempotent", "max_request", "max_response"},
	},
	"ingress": {file: inSpec, title: "an ingress block", attrs: []string{"http", "auth"}},

	"environment file": {file: inEnvironment, title: "an environment file", blocks: []string{"environment"}},
	"environment": {
		file: inEnvironment, title: "an environment block", label: "name", attrs: []string{"trust_domain"},
		blocks: []string{"registry", "nomad", "consul", "vault", "bind"},
	},
	"registry": {
		file: inEnvironment, title: "a registry block", attrs: []string{"address", "prefix", "plain_http", "deltas"},
	},
	"nomad": {
		file: inEnvironment, title: "a nomad block", attrs: []string{"address", "region", "namespace", "datacenters"},
	},
	"consul": {file: inEnvironment, title: "a consul block", attrs: []string{"address"}},
	"vault": {
		file: inEnvironment, title: "a vault block",
		attrs: []string{"address", "namespace", "transit_mount", "pki_mount"},
	},
	"bind": {
		file: inEnvironment, title: "a bind block", label: "function", many: true,
		blocks: []string{"bind.storage", "bind.network"},
	},
	"bind.storage": {
		file: inEnvironment, title: "a storage binding", label: "tag", many: true, attrs: []string{"path", "volume", "csi_volume", "allocation_local"},
	},
	"bind.network": {
		file: inEnvironment, title: "a network binding", label: "tag", many: true,
		attrs: []string{"addresses", "service", "unix", "tls", "tls_server_name", "tls_ca", "max_connections", "max_bytes", "max_bytes_per_second"},
	},
}

// blockType returns the type of a block of a kind, as it is written.
func blockType(kind string) string { return kind[strings.LastIndexByte(kind, '.')+1:] }

func (s shape) blockTypes() []string {
	types := make([]string, len(s.blocks))
	for i, kind := range s.blocks {
		types[i] = blockType(kind)
	}
	return types
}

// titled is the title at the start of a sentence.
func (s shape) titled() string { return strings.ToUpper(s.title[:1]) + s.title[1:] }

// holds says what may stand in a block of shape s.
func (s shape) holds() string {
	var parts []string
	if len(s.attrs) > 0 {
		parts = append(parts, "the attributes "+strings.Join(s.attrs, ", "))
	}
	if len(s.blocks) > 0 {
		parts = append(parts, "the blocks "+strings.Join(s.blockTypes(), ", "))
	}
	text := s.titled() + " holds " + strings.Join(parts, " and ") + "."
	if len(s.attrs) == 1 {
		text = strings.Replace(text, "the attributes", "the attribute", 1)
	}
	if len(s.blocks) == 1 {
		text = strings.Replace(text, "the blocks", "the block", 1)
	}
	return text
}

// adviseName tells what to do about an attribute (or, with block, a block) that s does not know.
func (s shape) adviseName(name string, block bool) string {
	types := s.blockTypes()
	switch {
	case block && slices.Contains(s.attrs, name):
		return name + " is an attribute: write " + name + " = …, without braces."
	case !block && slices.Contains(types, name):
		return name + " is a block: write it with braces and without the equals sign."
	}
	if near := nearest(name, append(types, s.attrs...)); near != "" {
		return "Did you mean " + near + "? " + s.holds()
	}
	for _, kind := range kinds {
		home := shapes[kind]
		if (home.file == s.file || len(s.attrs) == 0) &&
			(!block && slices.Contains(home.attrs, name) || block && slices.Contains(home.blockTypes(), name)) {
			return name + " belongs in " + home.title + " of " + home.file + ". " + s.holds()
		}
	}
	return s.holds()
}

// kinds are the keys of shapes in a fixed order, so that advice is the same in every run.
var kinds = []string{
	"spec file", "function", "io", "io.storage", "io.network", "resources", "scaling", "call", "ingress",
	"environment file", "environment", "registry", "nomad", "consul", "vault", "bind", "bind.storage", "bind.network",
}
