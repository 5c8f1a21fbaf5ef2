package hclspec

import "time"

// Units of sizes, in bytes.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
	TiB int64 = 1 << 40
)

// Defaults of a function spec: what an attribute is when it is not written. A function's target is
// @<name>//:<name>, a storage tag's path is /<tag>, and the target concurrency is half of the concurrency, rounded up.
const (
	DefaultRuntime     = RuntimeWasm
	DefaultAccess      = AccessReadOnly
	DefaultProtocol    = ProtocolTCP
	DefaultCPU         = 100
	DefaultMemory      = 64 * MiB
	DefaultConcurrency = 16
	DefaultScalingMin  = 1
	DefaultTimeout     = 10 * time.Second
	DefaultMaxRequest  = 1 * MiB
	DefaultMaxResponse = 1 * MiB
	DefaultAuth        = AuthSigned
)

// Defaults of an environment file. Region, namespace and datacenters have none: the Nomad agent's own apply.
const (
	DefaultTrustDomain  = "countersign.local"
	DefaultTransitMount = "transit"
	DefaultPKIMount     = "pki"
)

// Limits of a function spec. Sizes are in bytes; Min and Max are permitted themselves.
const (
	MaxDescriptionLength = 1000
	MaxCalls             = 64
	MaxTags              = 16 // of storage and network together
	MinCPU               = 1
	MaxCPU               = 1_000_000
	MinMemory            = 10 * MiB // the least that Nomad accepts
	MaxMemory            = 256 * GiB
	MaxConcurrency       = 1000
	MaxScaling           = 1000
	MinTimeout           = time.Millisecond
	MaxTimeout           = time.Hour
	MinMessage           = 1 * KiB
	MaxMessage           = 64 * MiB
	MinStorage           = 4 * KiB
	MaxStorage           = 16 * TiB
)

// Limits of a file, checked before it is parsed: the parser works recursively, and its input is not ours.
const (
	MaxSourceLength = 64 * KiB
	maxNesting      = 32  // brackets, braces, parentheses, quotes, template sequences
	maxOperators    = 256 // operators that may stand in front of a value or between values, in the whole file

	maxDiagnostics = 50 // of one call of a parser or of Check
)
