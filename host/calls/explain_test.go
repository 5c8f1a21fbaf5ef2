package calls

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"countersign"
)

// explanations are what other hosts may say of their hops, and how many of them are passed on.
func TestExplanationsAreBounded(t *testing.T) {
	hop := func(edit func(*countersign.Hop)) countersign.Hop {
		h := countersign.Hop{Call: "1", Caller: "spiffe://x/function/a", Callee: "spiffe://x/function/b", Verified: "call and return"}
		edit(&h)
		return h
	}
	text := func(hops ...countersign.Hop) string {
		b, err := json.Marshal(hops)
		must(t, err)
		return string(b)
	}
	good := hop(func(*countersign.Hop) {})
	long := hop(func(h *countersign.Hop) { // grows to six times its length
		h.Call, h.Allocation, h.Key = strings.Repeat("<", maxHopText), strings.Repeat("<", maxHopText), strings.Repeat("<", maxHopText)
	})
	for name, test := range map[string]struct {
		below string
		most  int // hops that are passed on
	}{
		"a hop":           {text(good), 1},
		"hops":            {text(good, good, good), 3},
		"nothing":         {"", 0},
		"no JSON":         {"{", 0},
		"no array":        {`{"call":"1"}`, 0},
		"cut off":         {text(good)[:20], 0},
		"a number":        {"[1]", 0},
		"null":            {"null", 0},
		"empty":           {"[{},{}]", 0},
		"many":            {"[" + strings.Repeat(text(good)[1:len(text(good))-1]+",", 99) + "{}]", maxExplained},
		"many empty":      {"[" + strings.Repeat("{},", 6000) + "{}]", 0},
		"too long a text": {text(hop(func(h *countersign.Hop) { h.Callee = strings.Repeat("<", 19<<10) }), good), 1},
		"that grow":       {text(long, long, long, long, long, long), 1},
		"an escape":       {text(hop(func(h *countersign.Hop) { h.Callee = "\x1b[2J" }), good), 1},
		"a line feed":     {text(hop(func(h *countersign.Hop) { h.Key = "a\nb" }), good), 1},
		"right to left":   {text(hop(func(h *countersign.Hop) { h.Verified = "\u202e" }), good), 1},
		"a code":          {text(hop(func(h *countersign.Hop) { h.Code = "\x00" }), good), 1},
		"negative":        {text(hop(func(h *countersign.Hop) { h.Micros = -1 }), good), 1},
		"nobody":          {text(hop(func(h *countersign.Hop) { h.Caller = "" }), good), 1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, e := Explain(context.Background())
			explainBelow(ctx, test.below)
			got := e.Encode()
			var hops []countersign.Hop
			if err := json.Unmarshal([]byte(got), &hops); err != nil || len(hops) != test.most {
				t.Errorf("%d hops in %.200s: %v; want %d", len(hops), got, err, test.most)
			}
			if len(got) > maxExplanation {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
	explainBelow(context.Background(), text(good)) // nobody asked
}
