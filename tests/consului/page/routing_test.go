package page

import "testing"

func TestNamesOfWhatIsDrawn(t *testing.T) {
	for id, want := range map[string]string{
		"splitter:quote.default.default":             "splitter:quote",
		"resolver:quote.default.default.dc1":         "resolver:quote",
		"resolver:canary.quote.default.default.dc1":  "resolver:canary.quote",
		"resolver:canary.quote.default.default.dc-2": "resolver:canary.quote",
	} {
		if got := short(id); got != want {
			t.Errorf("short(%q) = %q, want %q", id, got, want)
		}
	}
	p := &Pages{service: "quote"}
	for line, want := range map[string]string{
		"splitter:quote>resolver:canary.quote.default.default.dc1": "canary",
		"splitter:quote>resolver:fx.default.default.dc1":           "fx",
		"splitter:quote>resolver:quote.default.default.dc1":        "quote",
		"splitter:quote>resolver:canary.fx.default.default.dc1":    "canary.fx",
		"splitter:fx>resolver:canary.fx.default.default.dc1":       "fx>canary.fx",
	} {
		if got := p.splitKey(line); got != want {
			t.Errorf("splitKey(%q) = %q, want %q", line, got, want)
		}
	}
}
