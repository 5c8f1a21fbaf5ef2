package host

import (
	"context"
	"encoding/json"
	"sync"

	"countersign"
	"countersign/vaultsign/callsig"
)

// hop is one call that was made while answering another, for people who ask what was verified.
type hop struct {
	Call       string           `json:"call"`
	Caller     string           `json:"caller"`
	Callee     string           `json:"callee"`
	Allocation string           `json:"allocation"`
	Algorithm  string           `json:"algorithm"`
	Key        string           `json:"key"` // session ID or certificate thumbprint
	Verified   string           `json:"verified"`
	Code       countersign.Code `json:"code,omitempty"`
	Micros     int64            `json:"micros"`
}

// explanation collects the hops below one call from outside; a nil one collects nothing.
type explanation struct {
	mu   sync.Mutex
	hops []hop
}

// maxExplained bounds an explanation: it travels in the answer's header.
const maxExplained = 32

// explainHeader asks for an explanation of the call's hops; the answer has it in a signed field of the same name.
const explainHeader = callsig.HeaderExplain

type explanationKey struct{}

// explain returns a context in which explainHop collects.
func explain(ctx context.Context) (context.Context, *explanation) {
	e := new(explanation)
	return context.WithValue(ctx, explanationKey{}, e), e
}

// explainHop notes a verified hop, if somebody asked.
func explainHop(ctx context.Context, h hop) {
	e, ok := ctx.Value(explanationKey{}).(*explanation)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.hops) < maxExplained {
		e.hops = append(e.hops, h)
	}
}

// encode returns the hops as a JSON array in printable ASCII.
func (e *explanation) encode() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := json.Marshal(e.hops)
	if err != nil || e.hops == nil {
		return "[]"
	}
	return string(b)
}
