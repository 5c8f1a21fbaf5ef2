package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"

	"countersign/strictjson"
)

// state is what a cluster keeps about itself, in cluster.json.
type state struct {
	ID             string                    `json:"id"` // marks everything that belongs to the cluster
	TrustDomain    string                    `json:"trust_domain"`
	Ports          map[string]map[string]int `json:"ports"` // server, purpose
	MinDynamicPort int                       `json:"min_dynamic_port"`
	Allocations    []string                  `json:"allocations,omitempty"` // see noteAllocations
	Drained        bool                      `json:"drained,omitempty"`     // Down drained the nodes; Up has to undo it
	Nodes          int                       `json:"nodes,omitempty"`       // 0 and 1 are the same
	Network        string                    `json:"network,omitempty"`     // see newNetwork; "" unless there are many nodes
}

// node is the name of the servers in Nomad and Consul, and of the cluster in Vault.
func (s *state) node() string { return "countersign-" + s.ID }

// NoClusterError says that a directory holds no cluster.
type NoClusterError struct{ Dir string }

// Error implements error.
func (e *NoClusterError) Error() string {
	return fmt.Sprintf("%s holds no cluster; `countersign cluster up -dir %s` makes one", e.Dir, e.Dir)
}

// load reads cluster.json.
func (d dir) load() (*state, error) {
	data, err := os.ReadFile(d.path("cluster.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &NoClusterError{Dir: d.root}
	}
	if err != nil {
		return nil, fmt.Errorf("state of the cluster: %w", err)
	}
	var s state
	if err := strictjson.DecodeOpen(data, &s); err != nil {
		return nil, fmt.Errorf("state of the cluster in %s: %w", d.path("cluster.json"), err)
	}
	if len(s.ID) != 10 || strings.Trim(s.ID, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("state of the cluster in %s: bad id %q", d.path("cluster.json"), s.ID)
	}
	if s.Nodes > MaxNodes || s.many() && net.ParseIP(s.host(1)) == nil {
		return nil, fmt.Errorf("state of the cluster in %s: bad nodes %d in network %q", d.path("cluster.json"), s.Nodes,
			s.Network)
	}
	if s.Ports == nil {
		s.Ports = map[string]map[string]int{}
	}
	return &s, nil
}

// loadOrCreate returns the state of the cluster, of a new one if there is none. "" and 0 leave what there is.
func (d dir) loadOrCreate(trustDomain string, nodes int) (*state, error) {
	if err := checkNodes(nodes); err != nil {
		return nil, err
	}
	s, err := d.load()
	var absent *NoClusterError
	switch {
	case err == nil && trustDomain != "" && trustDomain != s.TrustDomain:
		return nil, fmt.Errorf("the cluster in %s has trust domain %s, and its certificates name it: "+
			"use another -dir for trust domain %s", d.root, s.TrustDomain, trustDomain)
	case err == nil:
		if err := s.setNodes(nodes); err != nil {
			return nil, fmt.Errorf("cluster in %s: %w", d.root, err)
		}
		return s, nil
	case !errors.As(err, &absent):
		return nil, err
	}
	if trustDomain == "" {
		trustDomain = DefaultTrustDomain
	}
	if err := checkTrustDomain(trustDomain); err != nil {
		return nil, err
	}
	id := make([]byte, 5)
	rand.Read(id) // never fails
	s = &state{
		ID:             hex.EncodeToString(id),
		TrustDomain:    trustDomain,
		Ports:          map[string]map[string]int{},
		MinDynamicPort: dynamicFrom + dynamicCount*random(dynamicSlices),
	}
	if err := s.setNodes(nodes); err != nil {
		return nil, err
	}
	return s, d.save(s)
}

func (d dir) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = writeFile(d.path("cluster.json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("state of the cluster: %w", err)
	}
	return nil
}

var trustDomainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?$`)

// checkTrustDomain keeps to the form that SPIFFE-ID section 2.1 and DNS both allow.
func checkTrustDomain(td string) error {
	if !trustDomainForm.MatchString(td) {
		return fmt.Errorf("trust domain %q: want lower-case letters, digits, '.' and '-', such as example.org", td)
	}
	return nil
}
