package telemetry

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"countersign/telemetry/metric"
)

// TestMetricsAreDocumented compares docs/metrics.md with the table of metrics, and looks for names there that are none.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, known := string(text), map[string]bool{}
	var rows []string
	for _, m := range metric.All() {
		var names string
		for i, l := range m.Labels {
			if i > 0 {
				names += ", "
			}
			names += "`" + l + "`"
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", m.Name, m.Type, names, m.Help)
		rows = append(rows, strings.ReplaceAll(row, "|  |", "| |"))
		known[m.Name], known[m.Name+"_bucket"] = true, m.Type == "histogram"
	}
	if want := strings.Join(rows, "\n"); !strings.Contains(doc, want) {
		t.Errorf("docs/metrics.md should have these rows:\n%s", want)
	}
	for _, name := range regexp.MustCompile(`countersign_[a-z_]+`).FindAllString(doc, -1) {
		if !known[name] {
			t.Errorf("docs/metrics.md names %s, which is not served", name)
		}
	}
	var bounds []string
	for _, b := range buckets {
		bounds = append(bounds, strings.TrimRight(fmt.Sprintf("%.5f", b), "0"))
	}
	want := strings.ReplaceAll(strings.Join(bounds, ", "), "., ", ", ")
	if !strings.Contains(strings.Join(strings.Fields(doc), " "), strings.TrimSuffix(want, ".")+".") {
		t.Errorf("docs/metrics.md should have the buckets %s", want)
	}
	if !strings.Contains(doc, fmt.Sprintf("at most %d sets", MaxSeries)) {
		t.Errorf("docs/metrics.md should say that %d sets are kept apart", MaxSeries)
	}
}

// TestAttributesAreDocumented looks for every attribute that the code sets in docs/tracing.md, and the other way round.
func TestAttributesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	attribute := regexp.MustCompile("[\"`]((?:rpc|faas|service|server|host|error|countersign)\\.[a-z_.]+)[\"`]")
	set := map[string]bool{}
	for _, file := range []string{"span.go", "tracer.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range attribute.FindAllSubmatch(source, -1) {
			set[string(m[1])] = true
		}
	}
	named := map[string]bool{}
	for _, m := range attribute.FindAllSubmatch(doc, -1) {
		named[string(m[1])] = true
	}
	for name := range set {
		if !named[name] {
			t.Errorf("docs/tracing.md does not name %s", name)
		}
	}
	for name := range named {
		if !set[name] {
			t.Errorf("docs/tracing.md names %s, which no span has", name)
		}
	}
	if len(set) < 15 {
		t.Errorf("only %d attributes are found in the code", len(set))
	}
}
