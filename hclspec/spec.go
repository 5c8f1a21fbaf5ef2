package hclspec

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Runtimes of a function.
const (
	RuntimeWasm   = "wasm"
	RuntimeNative = "native"
)

// Access of a function to a storage tag.
const (
	AccessReadOnly  = "read-only"
	AccessReadWrite = "read-write"
)

// Protocols of a network tag.
const (
	ProtocolTCP = "tcp"
	ProtocolUDP = "udp"
)

// TLSHost has the host encrypt the connections of a network tag.
const TLSHost = "host"

// Auth says how callers outside prove who they are.
const (
	AuthSigned = "signed" // RFC 9421 message signature with a certified client key
	AuthJWT    = "jwt"    // bearer token of a trusted issuer
)

// Function is a parsed and checked function spec. Defaults are filled in.
type Function struct {
	Name        string
	Description string
	Target      string   // Bazel label; default @<name>//:<name>
	Runtime     string   // RuntimeWasm or RuntimeNative
	Calls       []string // functions it may call, in the order written
	Storage     []Storage
	Network     []Network
	Resources   Resources
	Scaling     Scaling
	Call        Call
	Ingress     *Ingress // nil: only functions may call it

	Range      hcl.Range   // of the block's header
	CallRanges []hcl.Range // of each element of Calls

	// The spec's I/O is not known in full, since the file could not be parsed or a tag is not valid: a binding that
	// seems to miss its tag is no mistake of the environment.
	incomplete bool
}

// Storage is a storage I/O tag: a directory that the environment binds.
type Storage struct {
	Tag      string
	Access   string // AccessReadOnly or AccessReadWrite
	Path     string // where the function sees it, absolute
	MaxBytes int64  // 0: no limit
	MaxFiles int    // files and directories
	Range    hcl.Range
}

// Network is a network I/O tag: something to connect to, which the environment binds.
type Network struct {
	Tag      string
	Protocol string // ProtocolTCP or ProtocolUDP
	Listen   bool   // the function accepts connections there, and makes none
	Range    hcl.Range
}

// Resources of one allocation of a function.
type Resources struct {
	CPU         int   // MHz, as in a Nomad job
	Memory      int64 // bytes for all of the allocation's sandboxes together
	Concurrency int   // calls that run at the same time in one allocation
}

// Scaling bounds the number of allocations.
type Scaling struct {
	Min               int
	Max               int
	TargetConcurrency int
}

// Call is the contract for calls of the function.
type Call struct {
	Timeout     time.Duration // the longest a call may take
	Idempotent  bool          // it may be tried again elsewhere
	MaxRequest  int64         // bytes
	MaxResponse int64         // bytes
}

// Ingress opens the function to callers outside.
type Ingress struct {
	HTTP  bool
	Auth  string // AuthSigned or AuthJWT
	Range hcl.Range
}

// Environment binds I/O tags to real things and names the platform's servers.
type Environment struct {
	Name        string
	TrustDomain string
	Registry    Registry
	Nomad       Nomad
	Consul      Consul
	Vault       Vault
	Storage     []StorageBinding
	Network     []NetworkBinding

	Range hcl.Range    // of the block's header
	binds []bindHeader // the bind blocks, also those that bind nothing
}

type bindHeader struct {
	function string
	labels   hcl.Range
}

// Registry is the OCI registry of the artifacts.
type Registry struct {
	Address   string // host:port
	Prefix    string // path before the function's name, without slashes at its ends; may be ""
	PlainHTTP bool
	Deltas    int // number of earlier versions of a function that a deploy makes deltas from
}

// Nomad names the cluster that runs the functions.
type Nomad struct {
	Address     string // URL without path
	Region      string
	Namespace   string
	Datacenters []string
}

// Consul names the catalog in which functions are found.
type Consul struct {
	Address string // URL without path
}

// Vault names the key store.
type Vault struct {
	Address      string // URL without path
	Namespace    string // Enterprise namespace; usually ""
	TransitMount string
	PKIMount     string
}

// StorageBinding binds a storage tag of a function to exactly one of the things that it names.
type StorageBinding struct {
	Function        string
	Tag             string
	Path            string // directory on the node
	Volume          string // Nomad host volume
	CSIVolume       string // volume of a CSI plugin
	AllocationLocal bool   // directory of the allocation, which is gone with it
	Range           hcl.Range
}

// NetworkBinding binds a network tag of a function to exactly one of addresses, a service and a Unix socket.
type NetworkBinding struct {
	Function  string
	Tag       string
	Addresses []string // host:port, tried in this order
	Service   string   // of Consul
	Unix      string   // path of a socket on the node

	TLS           string // TLSHost, or "" for bytes as they are
	TLSServerName string // whose certificate the server has to have; "": that of the address
	TLSCA         string // PEM certificates that vouch for the server; "": those of the node
	NetworkLimits
	Range hcl.Range
}

// NetworkLimits bound what one allocation can use a network tag for. 0: no limit, but for Connections.
type NetworkLimits struct {
	Connections    int   // open at once; 0: the host's default
	Bytes          int64 // of one connection, both directions together
	BytesPerSecond int64 // of all connections together
}
