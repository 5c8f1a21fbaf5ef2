package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"countersign/strictjson"
)

const (
	maxKnown      = 1 << 20 // bytes of the file
	maxKnownNodes = 16      // of a function
)

// Known remembers in a file where functions were found, for the time when Consul does not tell. Nothing is trusted for
// being remembered: a call is made only over TLS with a function's certificate, and its return is verified.
type Known struct{ File string }

// Nodes returns the addresses (host:port) at which a function was found last; none if that is not known, or can't be read.
func (k Known) Nodes(function string) []string {
	all, err := k.read()
	if err != nil {
		return nil
	}
	return all[function]
}

// Remember keeps where a function was found.
func (k Known) Remember(function string, nodes []string) error {
	all, err := k.read()
	if err != nil || all == nil {
		all = map[string][]string{} // what can't be read is of no use
	}
	all[function] = nodes[:min(len(nodes), maxKnownNodes)]
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("remember where function %q is: %w", function, err)
	}
	if len(text) > maxKnown {
		return fmt.Errorf("remember where function %q is: %s would have more than %d bytes; remove it", function, k.File, maxKnown)
	}
	if err := os.MkdirAll(filepath.Dir(k.File), 0o700); err != nil {
		return fmt.Errorf("remember where function %q is: %w", function, err)
	}
	if err := renameio.WriteFile(k.File, text, 0o600); err != nil {
		return fmt.Errorf("remember where function %q is: %w", function, err)
	}
	return nil
}

func (k Known) read() (map[string][]string, error) {
	info, err := os.Stat(k.File)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKnown || !info.Mode().IsRegular() {
		return nil, errors.New("not a file of known nodes")
	}
	text, err := os.ReadFile(k.File)
	if err != nil {
		return nil, err
	}
	var all map[string][]string
	return all, strictjson.Decode(text, &all)
}
