// Package progress says what a deploy is doing: its steps, how far each of them is, and how long it took.
//
// It owns the names of the steps, their order for people, and how many functions a step works on at the same time. It
// must not know what a step does, nor how progress looks.
package progress

import (
	"encoding/json"
	"time"
)

// Step is one step of a deploy.
type Step string

// The steps of a deploy, in their order. Those of FunctionSteps are done for each function, the others once.
const (
	StepBuild    Step = "build"    // have Bazel build what is to be deployed
	StepLoad     Step = "load"     // read the build manifest, the specs and the environment, and check them
	StepLock     Step = "lock"     // wait for another deploy to end
	StepDescribe Step = "describe" // ask the module for its interface
	StepCheck    Step = "check"    // do callers and callees fit?
	StepTest     Step = "test"     // have Bazel run the tests of what changed
	StepSign     Step = "sign"     // find an attestation that verifies, or have Vault sign one
	StepPublish  Step = "publish"  // put artifact and attestation into the registry
	StepDelta    Step = "delta"    // attach what nodes that have an earlier version need not fetch
	StepRender   Step = "render"   // write the Nomad job
	StepPlan     Step = "plan"     // ask Nomad what running the job would change
	StepRoute    Step = "route"    // write to Consul who may call whom, and prepare canaries
	StepRun      Step = "run"      // register the job
	StepWait     Step = "wait"     // wait until the new allocations are healthy
	StepShift    Step = "shift"    // give canaries their share of the calls
	StepNarrow   Step = "narrow"   // take permissions away that no spec asks for any more
)

// The steps of what is recorded of it, before anything is changed and after everything was.
const (
	StepSettle  Step = "settle"  // finish what an interrupted command left of the release records
	StepRefresh Step = "refresh" // have the latest key versions attest what runs and what the last releases consist of
	StepRecord  Step = "record"  // sign and keep a record of what runs
)

// The steps of moving functions to recorded versions, before those of a deploy from StepCheck on.
const (
	StepChoose Step = "choose" // find what has to move, so that all callers and callees fit
	StepVerify Step = "verify" // verify what is to run, before anything is changed
)

// The step of bringing repos.bzl in line with what was moved.
const StepPin Step = "pin"

// The steps of ending a canary, apart from StepLoad, StepLock, StepShift, StepWait and StepNarrow.
const (
	StepPromote Step = "promote" // have Nomad replace the release before
	StepAbort   Step = "abort"   // have Nomad stop the canary
	StepClose   Step = "close"   // delete what split the calls
)

// The steps of taking a function away, apart from StepLoad, StepLock and StepCheck.
const (
	StepStop  Step = "stop"  // take the job away, and wait until nothing of it runs
	StepClean Step = "clean" // delete what Consul and the directory of rendered jobs have of it
)

// FunctionSteps are the steps that each function goes through.
var FunctionSteps = []Step{StepDescribe, StepSign, StepPublish, StepDelta, StepRender, StepPlan, StepRun, StepWait}

// RollbackSteps are the steps that a function which is moved to a recorded version goes through.
var RollbackSteps = []Step{StepVerify, StepRender, StepPlan, StepRun, StepWait}

// The steps that each function of Promote and Abort goes through.
var (
	PromoteSteps = []Step{StepShift, StepPromote, StepWait, StepClose}
	AbortSteps   = []Step{StepShift, StepAbort, StepWait, StepClose}
)

// RemoveSteps are the steps that a function which is taken away goes through.
var RemoveSteps = []Step{StepCheck, StepStop, StepClean}

// State is how far a step is.
type State string

// The states of a step.
const (
	Pending State = "pending" // will be done, if nothing goes wrong before
	Active  State = "active"
	Done    State = "done"
	Skipped State = "skipped" // there was nothing to do
	Failed  State = "failed"
	Waiting State = "waiting" // of no step: a server is silent; Detail says which, and for how long it is waited for yet
)

// Progress is something that happened to a step.
type Progress struct {
	Function string // "" for steps that concern all functions
	Step     Step
	State    State
	Detail   string        // what was done, for people
	Duration time.Duration // of a step that ended
	Err      error         // why it failed
}

// Observer is told of everything that happens, from several goroutines, one call at a time.
type Observer interface {
	Observe(Progress)
}

// Timing is how long one step took.
type Timing struct {
	Function string
	Step     Step
	State    State
	Duration time.Duration
}

// MarshalJSON gives the duration in milliseconds.
func (t Timing) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Function string  `json:"function,omitempty"`
		Step     Step    `json:"step"`
		State    State   `json:"state"`
		MS       float64 `json:"ms"`
	}{t.Function, t.Step, t.State, Milliseconds(t.Duration)})
}

// Milliseconds is a duration as results have it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
