// Package servers provides the servers of a local cluster: it finds vault, consul, nomad and an OCI registry on PATH,
// or builds them, once, from pinned Go modules into the user's cache directory. It owns versions, checksums and build
// recipes; it must not know how a server is configured or run.
package servers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
)

// Recipe says which server is wanted, and how to build it from its Go module when PATH has none that is new enough.
// Everything that changes the binary is in it, because its hash names the binary in the cache.
type Recipe struct {
	Name    string // of the command
	Version string // that is built, as a Go module version
	Minimum string // the oldest release that is taken from PATH, as a Go module version
	Module  string // root module
	Package string // main package of the command
	Sum     string // of the root module's zip: h1:…
	ModSum  string // of the root module's go.mod: h1:…

	DropReplaces []string    // replacements by a directory, which a module taken from a zip can't have
	Replaces     [][3]string // module, replacement, its version
	Requires     [][2]string // module, version: what the dropped replacements stood for
	Sums         []string    // the go.sum lines that Replaces and Requires need
	Tags         string      // build tags, separated by spaces
	CGO          bool        // needs a C compiler

	CPUSeconds int // measured time of one build, for the estimate that people see; not part of the hash
}

// hash identifies the recipe together with the machine that the binary is for: 12 hexadecimal digits.
func (r Recipe) hash() string {
	r.CPUSeconds, r.Minimum = 0, ""
	canonical, err := json.Marshal(struct {
		Recipe
		OS, Arch string
		Flags    []string
	}{r, runtime.GOOS, runtime.GOARCH, r.flags()})
	if err != nil {
		panic(fmt.Sprintf("a recipe is plain data, yet it can't be encoded: %v", err))
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:6])
}

// flags are the arguments of go build, without output and package.
func (r Recipe) flags() []string {
	flags := []string{"-mod=mod", "-trimpath", "-ldflags=-s -w"}
	if r.Tags != "" {
		flags = append(flags, "-tags="+r.Tags)
	}
	return flags
}

// Nomad runs the functions. Version 1.10 is the oldest whose task driver protocol and workload identities were tried.
var Nomad = Recipe{
	Name:    "nomad",
	Version: "v1.10.4",
	Minimum: "v1.10.0",
	Module:  "github.com/hashicorp/nomad",
	Package: "github.com/hashicorp/nomad",
	Sum:     "h1:zyRhDtSPiRZOl3eELEImu3o1XeqSsMPb8YeZ2hAfaVY=",
	ModSum:  "h1:tRovTcCaEaz1U984qOJMr7Jy+SAVDjX+gmavDwxKxQc=",
	Replaces: [][3]string{
		{"github.com/hashicorp/nomad/api", "github.com/hashicorp/nomad/api", "v0.0.0-20250812204832-62b195aaa535"},
	},
	Sums: []string{
		"github.com/hashicorp/nomad/api v0.0.0-20250812204832-62b195aaa535 " +
			"h1:DZhOjjH4Gf6TOQYCDYwWzmnY9/jKeUWnaKEdAybhnEM=",
		"github.com/hashicorp/nomad/api v0.0.0-20250812204832-62b195aaa535/go.mod " +
			"h1:y4olHzVXiQolzyk6QD/gqJxQTnnchlTf/QtczFFKwOI=",
	},
	Tags:       "hashicorpmetrics codegen_generated release",
	CGO:        true,
	CPUSeconds: 590,
}

// Consul is the catalog of the functions.
var Consul = Recipe{
	Name:    "consul",
	Version: "v1.21.0",
	Minimum: "v1.21.0",
	Module:  "github.com/hashicorp/consul",
	Package: "github.com/hashicorp/consul",
	Sum:     "h1:YdrBKpOkRe1nyOl1hUONAAvabD5p9kLnQZ1I/GRP4dQ=",
	ModSum:  "h1:LC+iMKutlxrM5cHY2detDegzM1mLd47nEdUZN52RD3c=",
	DropReplaces: []string{
		"github.com/hashicorp/consul/api", "github.com/hashicorp/consul/envoyextensions",
		"github.com/hashicorp/consul/proto-public", "github.com/hashicorp/consul/sdk",
		"github.com/hashicorp/consul/troubleshoot",
	},
	Requires: [][2]string{
		{"github.com/hashicorp/consul/api", "v1.32.1"},
		{"github.com/hashicorp/consul/envoyextensions", "v0.7.3"},
		{"github.com/hashicorp/consul/proto-public", "v0.6.2"},
		{"github.com/hashicorp/consul/sdk", "v0.16.2"},
		{"github.com/hashicorp/consul/troubleshoot", "v0.7.1"},
	},
	Sums: []string{
		"github.com/hashicorp/consul/api v1.32.1 h1:0+osr/3t/aZNAdJX558crU3PEjVrG4x6715aZHRgceE=",
		"github.com/hashicorp/consul/api v1.32.1/go.mod h1:mXUWLnxftwTmDv4W3lzxYCPD199iNLLUyLfLGFJbtl4=",
		"github.com/hashicorp/consul/envoyextensions v0.7.3 h1:5Gn1Hj135NYNRBmB3IdwhkxIHQgEJPjXYPZcA+05rNY=",
		"github.com/hashicorp/consul/envoyextensions v0.7.3/go.mod h1:tya/kHsOBGaeAS9inAfUFJIEJ812c125cQD4MrLTt2s=",
		"github.com/hashicorp/consul/proto-public v0.6.2 h1:+DA/3g/IiKlJZb88NBn0ZgXrxJp2NlvCZdEyl+qxvL0=",
		"github.com/hashicorp/consul/proto-public v0.6.2/go.mod h1:cXXbOg74KBNGajC+o8RlA502Esf0R9prcoJgiOX/2Tg=",
		"github.com/hashicorp/consul/sdk v0.16.2 h1:cGX/djeEe9r087ARiKVWwVWCF64J+yW0G6ftZMZYbj0=",
		"github.com/hashicorp/consul/sdk v0.16.2/go.mod h1:onxcZjYVsPx5XMveAC/OtoIsdr32fykB7INFltDoRE8=",
		"github.com/hashicorp/consul/troubleshoot v0.7.1 h1:IQYxC1qsV3jO74VZDyPi283Ufi84/mXSMm53U8dsN2M=",
		"github.com/hashicorp/consul/troubleshoot v0.7.1/go.mod h1:U+fpb8yE3iGJTahAY1VGda4aYUDhaa0IZu+sIgGvcwk=",
	},
	CPUSeconds: 670,
}

// Vault holds the keys. The minimal build has what is used here: raft storage, transit, PKI and JWT logins.
var Vault = Recipe{
	Name:    "vault",
	Version: "v1.21.2",
	Minimum: "v1.21.0",
	Module:  "github.com/hashicorp/vault",
	Package: "github.com/hashicorp/vault",
	Sum:     "h1:t6/vAAhgGvKukkIAQBUPenvfLiJ5oUm8CmOMa6tgUYQ=",
	ModSum:  "h1:mjP/x4G0ueDLcOetPYypOmAIn+ofFDcahAX4LXaTH9c=",
	DropReplaces: []string{
		"github.com/hashicorp/vault/api", "github.com/hashicorp/vault/api/auth/approle",
		"github.com/hashicorp/vault/api/auth/kubernetes", "github.com/hashicorp/vault/api/auth/userpass",
		"github.com/hashicorp/vault/sdk",
	},
	Sums: []string{
		"github.com/hashicorp/vault/api v1.22.0 h1:+HYFquE35/B74fHoIeXlZIP2YADVboaPjaSicHEZiH0=",
		"github.com/hashicorp/vault/api v1.22.0/go.mod h1:IUZA2cDvr4Ok3+NtK2Oq/r+lJeXkeCrHRmqdyWfpmGM=",
		"github.com/hashicorp/vault/api/auth/kubernetes v0.10.0 h1:5rqWmUFxnu3S7XYq9dafURwBgabYDFzo2Wv+AMopPHs=",
		"github.com/hashicorp/vault/api/auth/kubernetes v0.10.0/go.mod " +
			"h1:cZZmhF6xboMDmDbMY52oj2DKW6gS0cQ9g0pJ5XIXQ5U=",
		"github.com/hashicorp/vault/sdk v0.20.0 h1:a4ulj2gICzw/qH0A4+6o36qAHxkUdcmgpMaSSjqE3dc=",
		"github.com/hashicorp/vault/sdk v0.20.0/go.mod h1:xEjAt/n/2lHBAkYiRPRmvf1d5B6HlisPh2pELlRCosk=",
	},
	Tags:       "minimal",
	CPUSeconds: 760,
}

// Registry is the OCI registry that holds artifacts and attestations.
var Registry = Recipe{
	Name:       "registry",
	Version:    "v3.0.0",
	Minimum:    "v3.0.0",
	Module:     "github.com/distribution/distribution/v3",
	Package:    "github.com/distribution/distribution/v3/cmd/registry",
	Sum:        "h1:q4R8wemdRQDClzoNNStftB2ZAfqOiN6UX90KJc4HjyM=",
	ModSum:     "h1:tRNuFoZsUdyRVegq8xGNeds4KLjwLCRin/tTo6i1DhU=",
	CPUSeconds: 160,
}

// All returns the recipes of every server, quickest build first so that a broken setup shows early.
func All() []Recipe { return []Recipe{Registry, Nomad, Consul, Vault} }
