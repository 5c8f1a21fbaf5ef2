// Package loadtest has what the integration tests of the pipeline share: the environment of a real cluster. It owns
// nothing that a product may link.
package loadtest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"countersign/hclspec"
	"countersign/pipeline/load"
)

// Environment is that of the cluster whose env file was sourced (tools/integration does).
func Environment(t *testing.T) *hclspec.Environment {
	t.Helper()
	env, err := load.Environment(os.Getenv("COUNTERSIGN_ENVIRONMENT"))
	if err != nil {
		t.Fatalf("these tests need a cluster: %v", err)
	}
	return env
}

// FreshName is the name of a function that the cluster has not seen.
func FreshName(prefix string) string { return fmt.Sprintf("%s-%x", prefix, time.Now().UnixNano()) }
