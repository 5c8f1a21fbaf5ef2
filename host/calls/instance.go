package calls

import (
	"context"
	"slices"
	"strings"
	"sync"

	"countersign"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/telemetry"
	"countersign/vaultsign/identity"
)

// Runtime executes calls of one instance.
type Runtime interface {
	// Invoke runs one call; a failure is a *countersign.CallError.
	Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error)
}

// InstanceConfig says what an instance is.
type InstanceConfig struct {
	Allocation string
	Artifact   string                    // OCI reference with a digest
	Spec       *hclspec.Function         // attested
	SVID       identity.ID               // the function's SPIFFE ID
	Identity   func() *identity.Identity // current call key and certificate
	Interface  *interfaces.Document      // attested
}

// Instance is one running allocation of a function: the callee of inbound calls and the caller of outbound ones.
type Instance struct {
	node    *Node
	config  InstanceConfig
	faces   faces
	runtime Runtime
	served  *telemetry.Served // counts its calls

	verdicts sync.Map // interfaces that callers of this host were built with: digest → true, or the error that refuses them
	misfits  misfits  // of what the instance calls

	mu    sync.Mutex
	calls int           // accepted and not yet answered
	idle  chan struct{} // nil until it is to stop; closed when calls is 0 after that
	over  bool          // it has ended
}

// Prepare makes an instance that can't be called before Add.
func (n *Node) Prepare(config InstanceConfig) *Instance {
	return &Instance{node: n, config: config, faces: facesOf(config.Interface)}
}

// ID is the allocation's ID. It implements router.Instance.
func (in *Instance) ID() string { return in.config.Allocation }

// Function is the function's name. It implements router.Instance.
func (in *Instance) Function() string { return in.config.Spec.Name }

// InFlight is how many calls the instance runs or has waiting. It implements router.Instance.
func (in *Instance) InFlight() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.calls
}

// Artifact is the OCI reference of what the instance runs.
func (in *Instance) Artifact() string { return in.config.Artifact }

// Spec is the attested spec of the function. It must not be changed.
func (in *Instance) Spec() *hclspec.Function { return in.config.Spec }

// Identity is the instance's current call key and certificate.
func (in *Instance) Identity() *identity.Identity { return in.config.Identity() }

// Release is the short ID of the release that the instance runs.
func (in *Instance) Release() string {
	_, digest, _ := strings.Cut(in.config.Artifact, "@")
	return countersign.ReleaseID(digest)
}

// lists tells whether the attested spec lists a function in calls.
func (in *Instance) lists(function string) bool {
	return slices.Contains(in.config.Spec.Calls, function)
}

// Accepts tells whether the instance takes calls.
func (in *Instance) Accepts() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.idle == nil
}

// begin accepts a call unless the instance is stopping.
func (in *Instance) begin() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.idle != nil {
		return countersign.Errorf(countersign.CodeUnavailable, in.Function(), errStopping)
	}
	in.calls++
	return nil
}

// done ends a call that begin accepted.
func (in *Instance) done() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.calls--
	if in.calls == 0 && in.idle != nil {
		close(in.idle)
	}
}

// refuse makes the instance take no more calls. The channel is closed when those that run have ended.
func (in *Instance) refuse() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.idle == nil {
		in.idle = make(chan struct{})
		if in.calls == 0 {
			close(in.idle)
		}
	}
	return in.idle
}

func (in *Instance) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
}

func (in *Instance) ended() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.over
}
