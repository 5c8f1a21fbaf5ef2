// Package catalog keeps a router's Snapshot up to date from Consul. It owns the blocking queries: which there are, how
// they go on when Consul fails, and how their answers become one snapshot; it must not know how calls are routed, Nomad
// or signatures.
//
// A Watcher asks for what it is told to want. While Consul is away the last snapshot stays as it is.
package catalog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"countersign/router"
)

// Config says which Consul to watch.
type Config struct {
	// Address is the URL of the node's Consul agent, or its host:port for plain HTTP.
	Address string

	// Token is sent with every query. It must be able to read services, nodes, intentions and the agent. "" sends none.
	Token string

	// CACert is the path of a PEM file with the certificates that vouch for an https Address. "": the system's.
	CACert string

	// Datacenter is the one to ask about. "" is the agent's.
	Datacenter string

	// Log gets changes of the connection to Consul, and config entries that are not honoured. Nil: nothing is logged.
	Log *slog.Logger

	// Changed gets each new snapshot, one after the other, from the goroutine of Run. The snapshot is the receiver's.
	Changed func(router.Snapshot)
}

// Watcher feeds snapshots to Config.Changed.
type Watcher struct {
	config Config
	client *api.Client
	log    *slog.Logger
	slots  chan struct{} // one for each query that may be under way
	dirty  chan struct{} // there is something to do for Run

	mu        sync.Mutex
	wanted    map[string]int // references
	data      data
	changed   bool                   // data changed since the last snapshot
	running   map[watchKey]func()    // watches, and how to stop each
	failing   map[watchKey]time.Time // watches whose last query failed, since when
	lastErr   error                  // the last failure, for Wait
	created   time.Time
	delivered map[string]bool // functions in the last snapshot; nil before the first
	delivery  chan struct{}   // closed at the next delivery
	round     context.Context // of the queries that are waiting; ends when they have to make room
	endRound  context.CancelFunc
}

// New returns a Watcher that does nothing until Run.
func New(c Config) (*Watcher, error) {
	if c.Address == "" {
		return nil, errors.New("watch Consul: no address of an agent")
	}
	if c.Changed == nil {
		return nil, errors.New("watch Consul: nobody to tell about changes")
	}
	transport, err := newTransport(c.CACert)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(&api.Config{Address: c.Address, Token: c.Token, Datacenter: c.Datacenter,
		HttpClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, fmt.Errorf("client for Consul at %s: %w", c.Address, err)
	}
	w := &Watcher{config: c, client: client, log: c.Log, slots: make(chan struct{}, maxQueries),
		dirty: make(chan struct{}, 1), wanted: map[string]int{}, data: newData(), running: map[watchKey]func(){},
		failing: map[watchKey]time.Time{}, created: time.Now(), delivery: make(chan struct{})}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.round, w.endRound = context.WithCancel(context.Background())
	return w, nil
}

// newTransport has no timeout for a whole request, because blocking queries last; each query has one of its own.
func newTransport(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: maxQueries,
		IdleConnTimeout:     time.Minute,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificates that vouch for Consul: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates that vouch for Consul: %s holds no PEM certificate", caFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// Want adds functions that are called from this node to those that are watched. It counts: as many Drops end it.
func (w *Watcher) Want(functions ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range functions {
		w.wanted[f]++
	}
	w.wake()
}

// Drop takes back as many Wants. One of a function that is not wanted is a no-op.
func (w *Watcher) Drop(functions ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range functions {
		if w.wanted[f]--; w.wanted[f] <= 0 {
			delete(w.wanted, f)
		}
	}
	w.wake()
}

// Age is for how long the snapshot may have been out of date: 0 while every watch is in touch with Consul; the time
// since New before the first snapshot.
func (w *Watcher) Age() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.delivered == nil {
		return time.Since(w.created)
	}
	var age time.Duration
	for _, since := range w.failing {
		age = max(age, time.Since(since))
	}
	return age
}

// Wait returns when a snapshot with the chains and instances of functions, all of which must be wanted, was handed to
// Config.Changed. Without functions it waits for the first snapshot. When ctx ends first, the error says for what it
// waited and how Consul failed, if it did.
func (w *Watcher) Wait(ctx context.Context, functions ...string) error {
	for {
		missing, delivery := w.missing(functions)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := w.failure(); cause != nil {
				return fmt.Errorf("wait for %s from Consul at %s: %w; its last answer: %w", strings.Join(missing, ", "),
					w.config.Address, ctx.Err(), cause)
			}
			return fmt.Errorf("wait for %s from Consul at %s: %w", strings.Join(missing, ", "), w.config.Address,
				ctx.Err())
		case <-delivery:
		}
	}
}

// missing returns what of functions is not in the last snapshot, and what to wait for.
func (w *Watcher) missing(functions []string) (missing []string, delivery <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.delivered == nil {
		missing = append(missing, "the intentions and services")
	}
	for _, f := range functions {
		if !w.delivered[f] && !slices.Contains(missing, f) {
			missing = append(missing, f)
		}
	}
	return missing, w.delivery
}

// failure returns how the last query that has not been answered since failed, or nil.
func (w *Watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastErr
}

// wake tells Run that there is something to do. The caller holds w.mu, or does not care.
func (w *Watcher) wake() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}
