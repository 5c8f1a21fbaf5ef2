package hclspec

import "time"

// Units of sizes, in bytes.
const (
	kiB int64 = 1 << 10
	miB int64 = 1 << 20
	giB int64 = 1 << 30
	tiB int64 = 1 << 40
)

// Defaults of a function spec: what an attribute is when it is not written. A function's target is
// @<name>//:<name>, a storage tag's path is /<tag>, and the target concurrency is half of the concurrency, rounded up.
const (
	defaultRuntime     = RuntimeWasm
	defaultAccess      = AccessReadOnly
	defaultMaxFiles    = 10_000
	defaultProtocol    = ProtocolTCP
	defaultCPU         = 100
	defaultMemory      = 64 * miB
	defaultConcurrency = 16
	defaultScalingMin  = 1
	defaultTimeout     = 10 * time.Second
	defaultMaxRequest  = 1 * miB
	defaultMaxResponse = 1 * miB
	defaultAuth        = AuthSigned
)

// Defaults of an environment file. Region, namespace and datacenters have none: the Nomad agent's own apply.
const (
	defaultTrustDomain  = "countersign.local"
	defaultTransitMount = "transit"
	defaultPKIMount     = "pki"
	defaultDeltas       = 1
	maxDeltas           = 10
)

// Limits of a function spec. Sizes are in bytes; Min and Max are permitted themselves.
const (
	maxDescriptionLength = 1000
	maxCalls             = 64
	maxTags              = 16 // of storage and network together
	minCPU               = 1
	maxCPU               = 1_000_000
	minMemory            = 10 * miB // the least that Nomad accepts
	maxMemory            = 256 * giB
	maxConcurrency       = 1000
	maxScaling           = 1000
	minTimeout           = time.Millisecond
	MaxTimeout           = time.Hour
	minMessage           = 1 * kiB
	MaxMessage           = 64 * miB
	minStorage           = 4 * kiB
	maxStorage           = 16 * tiB
	maxFiles             = 10_000_000 // of one storage tag
	maxAddresses         = 16         // of one network tag
	maxConnections       = 10_000     // of one network tag
)

// Limits of a file, checked before it is parsed: the parser works recursively, and its input is not ours.
const (
	MaxSourceLength = 64 * kiB
	maxNesting      = 32  // brackets, braces, parentheses, quotes, template sequences
	maxOperators    = 256 // operators that may stand in front of a value or between values, in the whole file

	maxDiagnostics = 50 // of one call of a parser or of Check
)
