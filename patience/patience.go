// Package patience bounds how long a command waits for a server, and has it say whom it waits for.
//
// It owns the time that a server may take for a request, and the words. It must not know the servers, what is asked of
// them, nor where the words go. A host does not use it: nobody watches a host, and it has its own limits.
package patience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Of every request, unless a Transport says otherwise.
const (
	// Limit is how long a server may be silent: before its answer begins, and within it.
	Limit = 10 * time.Second
	// Quiet is how long a person waits without being told for whom.
	Quiet = 2 * time.Second
)

// Transport makes requests to one server. A request fails with a *SilentError when the server neither takes nor sends a
// byte for Limit; large bodies may take as long as they move. A blocking query of Consul or Nomad (parameters index and
// wait of their APIs) is one that the server may keep back for longer, and that nobody is told of.
type Transport struct {
	Base   http.RoundTripper // must not be nil
	Server string            // for people: "Vault at http://…"
	// How long the server may be silent, and how long it may be so without a word to whom WithTeller names; 0: the
	// package's.
	Limit, Quiet time.Duration
}

type tellerKey struct{}

// WithTeller returns a context for requests of which a person is told that they wait for a server: once for each whose
// server is silent for longer than Quiet. tell may be called at any time, from any goroutine.
func WithTeller(ctx context.Context, tell func(text string)) context.Context {
	return context.WithValue(ctx, tellerKey{}, tell)
}

// SilentError says that a server took a connection, or did not even that, and then was silent for too long. What was asked
// for may have been done.
type SilentError struct {
	Server string
	After  time.Duration
}

// Error implements error.
func (e *SilentError) Error() string {
	return fmt.Sprintf("%s was silent for %s; does it hang, or is the network to it cut?", e.Server, e.After)
}

// Unreachable marks the error as one of reaching a server.
func (e *SilentError) Unreachable() bool { return true }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := t.watch(r, cancel)
	request := r.WithContext(ctx)
	if r.Body != nil {
		request.Body = &moving{r.Body, w.moved, func() {}}
	}
	answer, err := t.Base.RoundTrip(request)
	if err != nil {
		w.stop()
		cancel(nil)
		return nil, w.explain(err)
	}
	w.moved()
	answer.Body = &moving{&explained{answer.Body, w}, w.moved, func() { w.stop(); cancel(nil) }}
	return answer, nil
}

// watch is the clock of one request.
type watch struct {
	limit, quiet time.Duration
	silent       *SilentError
	mu           sync.Mutex
	ended        bool
	timer        *time.Timer // ends the request
	notice       *time.Timer // tells about it; nil if nobody is to be told
}

// keptBack is for how long a server may keep an answer back because it was asked to.
func keptBack(query url.Values) time.Duration {
	if index := query.Get("index"); index == "" || index == "0" {
		return 0
	}
	wait, err := time.ParseDuration(query.Get("wait"))
	if err != nil {
		wait = 5 * time.Minute // when it is not said
	}
	return wait + wait/16 // of which they add a part, so that not all answers come at once
}

func (t *Transport) watch(r *http.Request, cancel context.CancelCauseFunc) *watch {
	limit, quiet := t.Limit, t.Quiet
	if limit == 0 {
		limit = Limit
	}
	if quiet == 0 {
		quiet = Quiet
	}
	blocking := keptBack(r.URL.Query())
	limit += blocking
	w := &watch{limit: limit, quiet: quiet, silent: &SilentError{t.Server, limit}}
	w.timer = time.AfterFunc(limit, func() { cancel(w.silent) })
	if tell, ok := r.Context().Value(tellerKey{}).(func(string)); ok && blocking == 0 {
		text := fmt.Sprintf("waiting for %s, for at most %s more", t.Server, (limit - quiet).Round(time.Second))
		w.notice = time.AfterFunc(quiet, func() { tell(text) })
	}
	return w
}

// moved gives the server its time anew.
func (w *watch) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.timer.Reset(w.limit)
	if w.notice != nil && w.notice.Stop() { // it was not told yet
		w.notice.Reset(w.quiet)
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
	if w.notice != nil {
		w.notice.Stop()
	}
}

// explain returns why a request failed: that the context was cancelled is how the clock ends it.
func (w *watch) explain(err error) error {
	if errors.Is(err, w.silent) {
		return w.silent
	}
	return err
}

// moving is a body that says when something moved.
type moving struct {
	io.ReadCloser
	moved func()
	ended func()
}

// Read implements io.Reader.
func (m *moving) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	if n > 0 {
		m.moved()
	}
	if err != nil {
		m.ended()
	}
	return n, err
}

// Close implements io.Closer.
func (m *moving) Close() error {
	defer m.ended()
	return m.ReadCloser.Close()
}

// explained is the body of an answer whose errors say that the clock ended it.
type explained struct {
	io.ReadCloser
	w *watch
}

// Read implements io.Reader.
func (e *explained) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		err = e.w.explain(err)
	}
	return n, err
}
