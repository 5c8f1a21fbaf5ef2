package calls

import (
	"context"
	"encoding/json"
	"sync"

	"countersign"
)

// Explanation collects the hops below one call from outside or from another host.
type Explanation struct {
	mu   sync.Mutex
	hops []countersign.Hop
}

// maxExplained bounds an explanation, which travels in a header: even hops with the longest names fit.
const maxExplained = 16

type explanationKey struct{}

// Explain returns a context whose calls note the hops that were verified.
func Explain(ctx context.Context) (context.Context, *Explanation) {
	e := new(Explanation)
	return context.WithValue(ctx, explanationKey{}, e), e
}

// explainHop notes a verified hop, if somebody asked.
func explainHop(ctx context.Context, h countersign.Hop) {
	e, ok := ctx.Value(explanationKey{}).(*Explanation)
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
	_, ok := ctx.Value(explanationKey{}).(*Explanation)
	return ok
}

// Encode returns the hops as a JSON array in printable ASCII.
func (e *Explanation) Encode() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := json.Marshal(e.hops)
	if err != nil || e.hops == nil {
		return "[]"
	}
	return string(b)
}
