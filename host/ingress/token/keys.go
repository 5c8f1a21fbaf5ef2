package token

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTimeout  = 5 * time.Second  // of one fetch, discovery and keys together
	fetchPeriod   = 5 * time.Minute  // after which keys are fetched anew: one that its issuer withdrew is gone by then
	fetchPause    = 10 * time.Second // between two fetches at least, whatever tokens come
	maxDocument   = 1 << 20          // bytes of an answer
	maxKeys       = 64               // of one issuer
	minRSABits    = 2048
	maxCandidates = 8 // keys that a token without a key ID is tried with
)

var joseAlgorithms = func() (list []jose.SignatureAlgorithm) {
	for _, a := range algorithms {
		list = append(list, jose.SignatureAlgorithm(a))
	}
	return list
}()

// keySet holds one issuer's public keys. If the issuer is away, those that were fetched last are used.
type keySet struct {
	config Config
	client *http.Client
	now    func() time.Time

	mu       sync.Mutex
	fetching chan struct{}     // closed when the running fetch ends; nil if none runs
	keys     []jose.JSONWebKey // public keys that sign
	fetched  time.Time         // when keys were fetched
	tried    time.Time         // when a fetch was last begun
	failure  error             // of the last fetch
}

func newKeySet(config Config, now func() time.Time) (*keySet, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if config.CACert != "" {
		data, err := os.ReadFile(config.CACert)
		if err != nil {
			return nil, fmt.Errorf("reading ca_cert of token issuer %s: %w", config.Issuer, err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("ca_cert of token issuer %s: %s holds no PEM certificate", config.Issuer, config.CACert)
		}
	}
	return &keySet{config: config, now: now, client: &http.Client{Transport: bounded{transport}, Timeout: fetchTimeout}}, nil
}

// bounded cuts answers that are too large.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxDocument), response.Body}
	}
	return response, err
}

// find returns the keys with an ID, or all if a token names none. It fetches keys when there are none, when they are
// old, and when the ID is not among them, but never more often than every fetchPause.
func (s *keySet) find(ctx context.Context, id string) ([]crypto.PublicKey, error) {
	found, wait := s.lookUp(id)
	if wait != nil && len(found) == 0 {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &UnreachableError{Issuer: s.config.Issuer, Err: ctx.Err()}
		}
		found, _ = s.lookUp(id)
	}
	if len(found) > 0 {
		return found, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() && s.failure != nil {
		return nil, &UnreachableError{Issuer: s.config.Issuer, Err: s.failure}
	}
	return nil, refuse("the token's issuer has no key %.80q", id)
}

// lookUp returns the keys with an ID, and if a fetch runs, which it may begin, a channel that is closed at its end.
func (s *keySet) lookUp(id string) (found []crypto.PublicKey, wait chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if (id == "" || k.KeyID == id) && len(found) < maxCandidates {
			found = append(found, k.Key)
		}
	}
	now := s.now()
	due := len(found) == 0 || now.Sub(s.fetched) > fetchPeriod
	if due && s.fetching == nil && (s.tried.IsZero() || now.Sub(s.tried) > fetchPause) {
		s.tried, s.fetching = now, make(chan struct{})
		go s.fetch(s.fetching)
	}
	return found, s.fetching
}

// fetch replaces the keys. It outlives the call that wanted it, since others wait for it, too.
func (s *keySet) fetch(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := s.download(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err == nil {
		s.keys, s.fetched = keys, s.now()
	}
	s.fetching = nil
	close(done)
}

func (s *keySet) download(ctx context.Context) ([]jose.JSONWebKey, error) {
	address := s.config.JWKSURL
	if address == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.config.Issuer)
		if err != nil {
			return nil, fmt.Errorf("discovery: %.200s", err.Error()) // it may hold all that the issuer answered
		}
		var metadata struct {
			JWKSURL string `json:"jwks_uri"`
		}
		if err := provider.Claims(&metadata); err != nil || !isURL(metadata.JWKSURL) {
			return nil, errors.New("its discovery document names no jwks_uri")
		}
		address = metadata.JWKSURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		return nil, fmt.Errorf("%s is not a JWKS: %w", address, err)
	}
	return usable(document.Keys), nil
}

// usable picks the keys that may sign tokens. Others, and those of unknown types, belong in a key set, too.
func usable(raw []json.RawMessage) (keys []jose.JSONWebKey) {
	for _, text := range raw {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(text) != nil || !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		if public, ok := k.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
			continue
		}
		if keys = append(keys, k); len(keys) == maxKeys {
			break
		}
	}
	return keys
}
