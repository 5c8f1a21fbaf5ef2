package calls

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"countersign"
)

// Explanation collects the hops below one call from outside or from another host.
type Explanation struct {
	mu   sync.Mutex
	hops []countersign.Hop
}

// What bounds an explanation, which travels in a header field of at most 20 KiB (docs/call-format.md, section 2): even
// hops with the longest names fit.
const (
	maxExplained   = 16       // hops
	maxExplanation = 16 << 10 // bytes, as JSON
	maxHopText     = 512      // bytes of each of a hop's texts
)

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

// explainBelow notes the hops below a remote one, which the callee's host verified and its instance signed. What is no
// hop, by the looks of it, is left out: it is not this host that made it.
func explainBelow(ctx context.Context, encoded string) {
	if !explaining(ctx) {
		return
	}
	hops := json.NewDecoder(strings.NewReader(encoded))
	if begin, err := hops.Token(); err != nil || begin != json.Delim('[') {
		return
	}
	for n := 0; n < maxExplained && hops.More(); n++ {
		var h countersign.Hop
		if hops.Decode(&h) != nil {
			return
		}
		if plausible(&h) {
			explainHop(ctx, h)
		}
	}
}

// plausible tells whether another host's hop can be passed on: its texts end up in headers and on screens.
func plausible(h *countersign.Hop) bool {
	for _, text := range []string{h.Call, h.Caller, h.Callee, h.Allocation, h.Algorithm, h.Key, h.Verified, string(h.Code)} {
		if len(text) > maxHopText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return h.Caller != "" && h.Callee != "" && h.Micros >= 0
}

// explaining tells whether somebody asked for an explanation.
func explaining(ctx context.Context) bool {
	_, ok := ctx.Value(explanationKey{}).(*Explanation)
	return ok
}

// Encode returns the hops as a JSON array in printable ASCII: as many as there is room for.
func (e *Explanation) Encode() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []byte("[")
	for i, h := range e.hops {
		b, err := json.Marshal(h)
		if err != nil || len(out)+len(b)+len(",]") > maxExplanation {
			break
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, b...)
	}
	return string(append(out, ']'))
}
