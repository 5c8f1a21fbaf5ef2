package token

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/strictjson"
)

const (
	fetchTimeout  = 5 * time.Second  // of one fetch, discovery and keys together
	fetchPeriod   = 5 * time.Minute  // after which keys are fetched anew: one that its issuer withdrew is gone by then
	fetchPause    = 10 * time.Second // between two fetches at least, whatever tokens come
	maxDocument   = 1 << 20          // bytes of an answer
	maxKeys       = 64               // of one issuer
	maxRedirects  = 5
	minRSABits    = 2048
	maxRSABits    = 8192 // more take long to verify with, as in crypto/tls
	maxCandidates = 8    // keys that a token without a key ID is tried with
)

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
	return &keySet{config: config, now: now, client: &http.Client{Transport: transport, Timeout: fetchTimeout, CheckRedirect: checkRedirect}}, nil
}

// checkRedirect follows a few redirects to where keys may come from, and none from https back to http.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return checkNext(via[0].URL.String(), next.URL.String())
}

// checkNext tells whether keys may come from next, which the answer of from named.
func checkNext(from, next string) error {
	if err := CheckAddress(next); err != nil {
		return err
	}
	if isSecure(from) && !isSecure(next) {
		return fmt.Errorf("%.80q leads from https to plain http", from)
	}
	return nil
}

func isSecure(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

// find returns the keys with an ID, or all if a token names none, that may verify an algorithm. It fetches keys when there are none, when they are
// old, and when the ID is not among them, but never more often than every fetchPause.
func (s *keySet) find(ctx context.Context, id, algorithm string) ([]jose.JSONWebKey, error) {
	found, wait := s.lookUp(id, algorithm)
	if wait != nil && len(found) == 0 {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &UnreachableError{Issuer: s.config.Issuer, Err: ctx.Err()}
		}
		found, _ = s.lookUp(id, algorithm)
	}
	if len(found) > 0 {
		return found, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() && s.failure != nil {
		return nil, &UnreachableError{Issuer: s.config.Issuer, Err: s.failure}
	}
	return nil, refuse("the token's issuer has no key %.80q for algorithm %s", id, algorithm)
}

// lookUp returns the keys with an ID for an algorithm, and if a fetch runs, which it may begin, a channel that is closed at its end.
func (s *keySet) lookUp(id, algorithm string) (found []jose.JSONWebKey, wait chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if (id == "" || k.KeyID == id) && (k.Algorithm == "" || k.Algorithm == algorithm) && len(found) < maxCandidates {
			found = append(found, k)
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
		var err error
		if address, err = s.discover(ctx); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
	}
	var document *struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, address, &document); err != nil || document == nil { // null is a set without keys
		return nil, err
	}
	return usable(document.Keys), nil
}

// discover returns where the issuer says that its keys are (OpenID Connect Discovery 1.0, section 4).
func (s *keySet) discover(ctx context.Context) (string, error) {
	address := strings.TrimSuffix(s.config.Issuer, "/") + "/.well-known/openid-configuration"
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURL string `json:"jwks_uri"`
	}
	if err := s.get(ctx, address, &metadata); err != nil {
		return "", err
	}
	if metadata.Issuer != s.config.Issuer {
		return "", fmt.Errorf("%s is about issuer %.80q", address, metadata.Issuer)
	}
	if err := checkNext(address, metadata.JWKSURL); err != nil {
		return "", fmt.Errorf("its jwks_uri: %w", err)
	}
	return metadata.JWKSURL, nil
}

// get reads a JSON document to which others may have added members.
func (s *keySet) get(ctx context.Context, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", address, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", address, err)
	}
	if len(text) > maxDocument {
		return fmt.Errorf("%s has more than %d bytes", address, maxDocument)
	}
	if err := strictjson.DecodeOpen(text, into); err != nil {
		return fmt.Errorf("%s is not as it must be: %w", address, err)
	}
	return nil
}
