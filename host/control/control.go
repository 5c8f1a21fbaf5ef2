// Package control is the contract between the Nomad task driver and the host: the requests that the driver sends
// over a unix socket and what the host answers. It holds types and the two ends of the transport; it must not know
// Nomad, Vault, Consul or WebAssembly.
package control

import "time"

// StartRequest asks the host to admit, verify and run one instance. The call is idempotent by TaskID.
type StartRequest struct {
	TaskID       string `json:"task_id"`
	AllocID      string `json:"alloc_id"`
	Function     string `json:"function"`      // the function's name; equals the Nomad job's ID
	Artifact     string `json:"artifact"`      // OCI reference with a digest: registry/prefix/name@sha256:…
	AllocDir     string `json:"alloc_dir"`     // the allocation's directory: the paths of the next three are below it
	IdentityFile string `json:"identity_file"` // path of the allocation's workload identity JWT, kept fresh by Nomad
	StdoutPath   string `json:"stdout_path"`   // named pipe that receives the function's standard output; "" or /dev/null discards
	StderrPath   string `json:"stderr_path"`
	MemoryBytes  int64  `json:"memory_bytes"` // what Nomad reserved for the task
	CPUShares    int64  `json:"cpu_shares"`   // MHz that Nomad reserved for the task
	CgroupPath   string `json:"cgroup_path"`  // cgroup v2 directory that Nomad made for the task, or ""; limits of a native function are set there

	Storage []Storage `json:"storage,omitempty"` // as the job binds them
	Network []Network `json:"network,omitempty"`
}

// Storage is a storage tag as a job binds it: what the function was attested with, and where its files are.
type Storage struct {
	Tag      string `json:"tag"`
	Path     string `json:"path"`      // where the function sees it
	ReadOnly bool   `json:"read_only"` // the function can't change anything there
	MaxBytes int64  `json:"max_bytes"` // 0: no limit
	MaxFiles int64  `json:"max_files"`

	Source      StorageSource `json:"source"`
	Dir         string        `json:"dir,omitempty"`          // on the node; "" for SourceAllocation
	DirReadOnly bool          `json:"dir_readonly,omitempty"` // Nomad permits no writing there
}

// StorageSource says what a storage tag is bound to.
type StorageSource string

// What a storage tag can be bound to.
const (
	SourcePath       StorageSource = "path"       // directory of the node that the driver's configuration allows
	SourceVolume     StorageSource = "volume"     // volume of Nomad: a host volume or that of a CSI plugin
	SourceAllocation StorageSource = "allocation" // directory of the allocation
)

// Network is a network tag as a job binds it.
type Network struct {
	Tag      string `json:"tag"`
	Protocol string `json:"protocol"` // tcp or udp
	Listen   bool   `json:"listen"`   // the function accepts connections, and makes none

	// One of these three.
	Addresses []string `json:"addresses,omitempty"` // host:port
	Service   string   `json:"service,omitempty"`   // of Consul
	Unix      string   `json:"unix,omitempty"`      // path of a socket

	TLS           string `json:"tls,omitempty"`             // "host": the host encrypts; "": it does not
	TLSServerName string `json:"tls_server_name,omitempty"` // whose certificate the server has to have; "": that of the address
	TLSCA         string `json:"tls_ca,omitempty"`          // PEM certificates that vouch for the server; "": the node's

	Connections    int   `json:"max_connections,omitempty"` // open at once; 0: the host's default
	Bytes          int64 `json:"max_bytes,omitempty"`       // of one connection; 0: no limit
	BytesPerSecond int64 `json:"max_bytes_per_second,omitempty"`
}

// StartReply tells where the new instance can be reached.
type StartReply struct {
	Address string  `json:"address"` // IP address of this host's listener
	Port    int     `json:"port"`    // TCP port of this host's listener
	Events  []Event `json:"events"`  // what happened while starting, oldest first
}

// Event is something to tell the user about a task, shown as a Nomad task event.
type Event struct {
	Seq     uint64            `json:"seq,omitempty"` // counts a host's events from 1; set by the transport
	TaskID  string            `json:"task_id"`
	Time    time.Time         `json:"time"`
	Message string            `json:"message"`
	Details map[string]string `json:"details,omitempty"`
}

// Failure is how the host says that a start was refused or failed.
type Failure struct {
	Kind    FailureKind `json:"kind"`
	Message string      `json:"message"`
	Events  []Event     `json:"events,omitempty"`
}

// FailureKind tells refusals from faults: a refusal will not change by trying again.
type FailureKind string

// The kinds of Failure.
const (
	Refused     FailureKind = "refused"     // verification or policy said no
	Unreachable FailureKind = "unreachable" // registry or Vault could not be reached: try again
	Invalid     FailureKind = "invalid"     // the request or the artifact is malformed
	Internal    FailureKind = "internal"
)

// Status is what the host knows about one task.
type Status struct {
	TaskID    string    `json:"task_id"`
	AllocID   string    `json:"alloc_id"`
	Function  string    `json:"function"`
	Artifact  string    `json:"artifact"`
	State     State     `json:"state"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	ExitCode  int       `json:"exit_code"`
	Signal    int       `json:"signal"`
	Error     string    `json:"error,omitempty"`  // why it ended, if not by Stop
	OOM       bool      `json:"oom,omitempty"`    // ended by its memory limit
	Commit    string    `json:"commit,omitempty"` // from the attestation
	KeyID     string    `json:"key_id,omitempty"` // key and version that signed the attestation
}

// State of a task.
type State string

// The states of a task.
const (
	Running State = "running"
	Exited  State = "exited"
)

// Stats is the resource use of one task, not of the host.
type Stats struct {
	Time        time.Time     `json:"time"`
	CPU         time.Duration `json:"cpu_ns"` // total CPU time since start
	MemoryBytes int64         `json:"memory_bytes"`
	MemoryMax   int64         `json:"memory_max_bytes"`
	Sandboxes   int           `json:"sandboxes"` // module instances or processes that run its calls
	InFlight    int           `json:"in_flight"`
	Calls       int64         `json:"calls"`
	Failures    int64         `json:"failures"`
}

// Info identifies a running host.
type Info struct {
	PID       int    `json:"pid"`        // set by the transport
	StartTick uint64 `json:"start_tick"` // field 22 of /proc/PID/stat; set by the transport
	Version   string `json:"version"`    // set by the transport
	Address   string `json:"address"`
	Port      int    `json:"port"`
}

// HostConfig is what a host is started with, as JSON on its standard input. It carries no secret.
type HostConfig struct {
	DataDir     string `json:"data_dir"` // control socket, artifact cache, key rings, compilation cache
	Bind        string `json:"bind"`     // IP address of the call listener
	Port        int    `json:"port"`     // 0: any free port
	TrustDomain string `json:"trust_domain"`
	PlainHTTP   bool   `json:"plain_http"` // the registries speak HTTP, not HTTPS
	Vault       Vault  `json:"vault"`
	LogLevel    string `json:"log_level"`

	Registry     Registry `json:"registry"`
	StorageAllow []string `json:"storage_allow"` // directories of the node in which storage tags may be bound by path

	NetworkAllowUnix []string `json:"network_allow_unix"` // directories of the node in which network tags may be bound to sockets

	Consul    Consul    `json:"consul"`
	Ingress   Ingress   `json:"ingress"`
	Telemetry Telemetry `json:"telemetry"`
}

// Registry tells where artifacts may come from.
type Registry struct {
	Allow  []string `json:"allow"`            // registries, or parts of them; see artifact.Registries
	Logins string   `json:"logins,omitempty"` // path of a file in the form of Docker's config.json
}

// Consul tells where routing comes from. Without an address a host routes to its own instances only.
type Consul struct {
	Address    string `json:"address,omitempty"`    // URL of the node's own agent
	TokenFile  string `json:"token_file,omitempty"` // path of a file with an ACL token
	CACert     string `json:"ca_cert,omitempty"`    // path of a PEM file
	Datacenter string `json:"datacenter,omitempty"` // "": the agent's
}

// Telemetry tells where traces go. Metrics are served by the call listener, at /v1/metrics.
type Telemetry struct {
	OTLPEndpoint string  `json:"otlp_endpoint,omitempty"` // URL of an OTLP/HTTP receiver; "": no traces
	OTLPCACert   string  `json:"otlp_ca_cert,omitempty"`  // path of a PEM file
	SampleRatio  float64 `json:"sample_ratio,omitempty"`  // of traces that begin here, 0 to 1; 0: all
}

// Vault tells where call certificates and key rings come from.
type Vault struct {
	Address      string `json:"address"`
	Namespace    string `json:"namespace,omitempty"`
	CACert       string `json:"ca_cert,omitempty"` // path of a PEM file
	AuthMount    string `json:"auth_mount"`        // JWT auth mount, such as jwt-nomad
	AuthRole     string `json:"auth_role"`
	TransitMount string `json:"transit_mount"`
	PKIMount     string `json:"pki_mount"`
	PKIRole      string `json:"pki_role"`
}
