// Package check compares what the pages of a service show with what a test expects of its configuration. It must not
// know how pages are read.
package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"countersign/tests/consului/page"
)

// Expectations say what the UI has to show about a function: this, and nothing else. Its JSON form is what a test
// writes.
type Expectations struct {
	Function   string           `json:"function"`
	Instances  []Instance       `json:"instances"`
	Intentions []page.Intention `json:"intentions"` // those that name the function, and "*" -> "*"
	Topology   *Topology        `json:"topology"`
	Routing    *Routing         `json:"routing"`
}

// Instance is an instance that has to be there.
type Instance struct {
	Release  string   `json:"release"`  // 12 hexadecimal digits
	Artifact string   `json:"artifact"` // sha256:<hex>
	Node     string   `json:"node"`     // name in Consul
	Tags     []string `json:"tags"`     // that it has at least; those that begin with "io-" have to be exactly these
}

// Topology names the functions that the function may call, and those that may call it, in any order.
type Topology struct {
	Upstreams   []string `json:"upstreams"`
	Downstreams []string `json:"downstreams"`
}

// Routing is what really applies to a call of the function.
type Routing struct {
	Routes  []page.Route       `json:"routes"`  // in their order, the last catches all: see page.Routing
	Splits  map[string]float64 `json:"splits"`  // percentages by subset
	Subsets map[string]string  `json:"subsets"` // filters by subset
}

// Load reads expectations from a file. Every part has to be there, if only empty: what is forgotten isn't checked.
func Load(path string) (*Expectations, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the expectations: %w", err)
	}
	var e Expectations
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return nil, fmt.Errorf("read the expectations in %s: %w", path, err)
	}
	if e.Function == "" || e.Instances == nil || e.Intentions == nil || e.Topology == nil || e.Routing == nil {
		err = errors.New("function, instances, intentions, topology and routing have to be there, if only empty")
		return nil, fmt.Errorf("read the expectations in %s: %w", path, err)
	}
	return &e, nil
}
