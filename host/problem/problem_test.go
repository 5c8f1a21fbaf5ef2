package problem

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"countersign"
)

// TestStatusesAreDocumented compares docs/errors.md with what the host answers.
func TestStatusesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(doc), -1)
	if len(rows) < len(statuses) {
		t.Fatalf("docs/errors.md has %d codes; want at least %d", len(rows), len(statuses)-1)
	}
	for _, row := range rows {
		if status := strconv.Itoa(Status(countersign.Code(row[1]))); status != row[2] {
			t.Errorf("%s is answered with status %s; docs/errors.md says %s", row[1], status, row[2])
		}
	}
}
