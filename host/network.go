package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/network"
)

// bindNetwork prepares the job's network tags. Nothing is connected before the function asks for it. Without tags it
// returns nil.
func (s *start) bindNetwork() (*network.Tags, error) {
	if len(s.request.Network) == 0 {
		return nil, nil
	}
	var list []network.Binding
	for _, t := range s.request.Network {
		encrypted, err := tlsOf(t)
		if err != nil {
			return nil, invalid("network tag %q of function %q: %v", t.Tag, s.spec.Name, err)
		}
		list = append(list, network.Binding{TLS: encrypted, Tag: t.Tag, Protocol: t.Protocol, Listen: t.Listen, Addresses: t.Addresses, Service: t.Service, Unix: t.Unix,
			Limits: network.Limits{Connections: t.Connections, Bytes: t.Bytes, Rate: t.BytesPerSecond}})
	}
	tags, err := network.Open(list, network.Options{Lookup: s.host.lookup, Unix: s.host.config.NetworkAllowUnix})
	if err != nil {
		return nil, invalid("function %q: %v", s.spec.Name, err)
	}
	s.task.network = tags
	for _, t := range s.request.Network {
		s.event("Network %q %s %s", t.Tag, map[bool]string{false: "is bound to", true: "listens at"}[t.Listen], boundTo(t))
	}
	return tags, nil
}

// tlsOf is how the host encrypts the connections of a tag, or nil.
func tlsOf(t control.Network) (*tls.Config, error) {
	switch {
	case t.TLS == "" && (t.TLSServerName != "" || t.TLSCA != ""):
		return nil, errors.New("tls_server_name and tls_ca need tls = \"host\"")
	case t.TLS == "":
		return nil, nil
	case t.TLS != hclspec.TLSHost:
		return nil, fmt.Errorf("tls is %q, and can be %q only", t.TLS, hclspec.TLSHost)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.TLSServerName}
	if t.TLSCA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.TLSCA)) {
			return nil, errors.New("tls_ca holds no PEM certificate")
		}
	}
	return config, nil
}

// boundTo says for people what a network tag leads to.
func boundTo(t control.Network) string {
	switch {
	case t.Service != "":
		return fmt.Sprintf("service %s of Consul", t.Service)
	case t.Unix != "":
		return fmt.Sprintf("the Unix socket %s", t.Unix)
	case len(t.Addresses) > 0:
		return strings.Join(t.Addresses, ", ")
	}
	return "nothing"
}

// lookupAge is how long an answer of Consul serves: what a function dials in a loop, the node's agent is not to be asked as often.
const lookupAge = time.Second

// services are the last answers of Consul about services that network tags are bound to.
type services struct {
	mu    sync.Mutex
	known map[string]answer
}

type answer struct {
	addresses []string
	at        time.Time
}

// lookup asks Consul for the instances of a service. While Consul is away its last answer serves.
func (h *Host) lookup(ctx context.Context, service string) ([]string, error) {
	if h.catalog == nil {
		return nil, fmt.Errorf("this node has no Consul (consul.address of the driver's plugin block)")
	}
	return h.services.lookup(ctx, service, h.catalog.Instances)
}

func (s *services) lookup(ctx context.Context, service string, ask network.Lookup) ([]string, error) {
	s.mu.Lock()
	known, ok := s.known[service]
	s.mu.Unlock()
	if ok && time.Since(known.at) < lookupAge {
		return known.addresses, nil
	}
	list, err := ask(ctx, service)
	if err != nil {
		if ok {
			return known.addresses, nil
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]answer{}
	}
	s.known[service] = answer{list, time.Now()}
	return list, nil
}
