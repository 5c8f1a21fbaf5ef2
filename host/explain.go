package host

import (
	"context"
	"encoding/json"
	"sync"

	"countersign"
	"countersign/vaultsign/callsig"
)

// explanation collects the hops below one call from outside; a nil one collects nothing.
type explanation struct {
	mu   sync.Mutex
	hops []countersign.Hop
}

// maxExplained bounds an explanation, which travels in a header: even hops with the longest names fit.
const maxExplained = 16

// explainHeader asks for an explanation of the call's hops; the answer has it in a signed field of the same name.
const explainHeader = callsig.HeaderExplain

type explanationKey struct{}

// explain returns a context in which explainHop collects.
func explain(ctx context.Context) (context.Context, *explanation) {
	e := new(explanation)
	return context.WithValue(ctx, explanationKey{}, e), e
}

// explainHop notes a verified hop, if somebody asked.
func explainHop(ctx context.Context, h countersign.Hop) {
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

// explainBelow notes the hops below a remote one, which the callee's host verified and its instance signed.
func explainBelow(ctx context.Context, encoded string) {
	var hops []countersign.Hop
	if encoded == "" || json.Unmarshal([]byte(encoded), &hops) != nil {
		return
	}
	for _, h := range hops {
		explainHop(ctx, h)
	}
}

// explaining tells whether somebody asked for an explanation.
func explaining(ctx context.Context) bool {
	_, ok := ctx.Value(explanationKey{}).(*explanation)
	return ok
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
