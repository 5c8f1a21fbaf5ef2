package host

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// forwardedHeader marks a call that a node passes on to the node that runs the function. Its value is the scheme with
// which the call came, which a signature may cover.
const forwardedHeader = "Countersign-Forwarded"

// idempotentHeader is in an answer to a forwarded call if the function's attested spec says that it is idempotent. It is
// between the two nodes, over TLS with the function's certificate, and goes no further.
const idempotentHeader = "Countersign-Idempotent"

// maxIdempotent bounds of how many instances a node remembers that they are idempotent.
const maxIdempotent = 1 << 14

const (
	forwardDial    = 3 * time.Second // to connect and to do the handshake
	forwardGrace   = 2 * time.Second // beyond the call's deadline, so that a return that says so gets through
	forwardIdle    = 60 * time.Second
	forwardHeader  = 64 << 10 // bytes of an answer's header
	forwardProblem = 16 << 10 // bytes of a refusal
)

// forwarder passes calls on to other hosts, over connections that it keeps: one for each instance that is called.
type forwarder struct {
	host      *Host
	dialer    net.Dialer
	transport *http.Transport

	mu         sync.Mutex
	idempotent map[string]bool // by allocation: as its host said
}

func newForwarder(h *Host) *forwarder {
	f := &forwarder{host: h, dialer: net.Dialer{Timeout: forwardDial}, idempotent: map[string]bool{}}
	if ip := net.ParseIP(h.config.Bind); ip != nil && !ip.IsUnspecified() {
		f.dialer.LocalAddr = &net.TCPAddr{IP: ip}
	}
	f.transport = &http.Transport{DialTLSContext: f.dial, ForceAttemptHTTP2: true, DisableCompression: true,
		IdleConnTimeout: forwardIdle, MaxResponseHeaderBytes: forwardHeader,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingFor}}
	return f
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }

// comesForwarded tells whether another node passed a call on, and prepares the request to be verified as it came to
// that node. Only a node that holds a function may do so; it proves that with the function's certificate.
func comesForwarded(r *http.Request) (bool, error) {
	lines := r.Header.Values(forwardedHeader)
	if len(lines) == 0 {
		return false, nil
	}
	refused := func(why string) (bool, error) {
		return false, countersign.Errorf(countersign.CodeNotPermitted, r.PathValue("function"),
			"%s is for nodes that pass calls on to each other: %s", forwardedHeader, why)
	}
	if len(lines) != 1 || lines[0] != "http" && lines[0] != "https" {
		return refused("its value is http or https")
	}
	if r.TLS == nil {
		return refused("they use TLS")
	}
	peer, err := identity.PeerOf(*r.TLS)
	switch {
	case err != nil || peer == nil:
		return refused("they present a function's certificate")
	case peer.ID.Kind() != identity.KindFunction:
		return refused(peer.ID.String() + " is no function")
	case peer.CheckTime(time.Now()) != nil:
		return refused("the certificate of the connection is outside its time")
	}
	r.URL.Scheme = lines[0]
	return true, nil
}

// destination is what dial has to know; it travels in the context of a request.
type destination struct {
	address, name string
	function      identity.ID
}

type destinationKey struct{}

// notReachedError says that there is no connection, so nothing was sent.
type notReachedError struct{ err error }

func (e *notReachedError) Error() string { return e.err.Error() }
func (e *notReachedError) Unwrap() error { return e.err }

// dial connects to the host of an instance. Both ends present call certificates, and the other end must be an instance
// of the function.
func (f *forwarder) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardDial)
	defer cancel()
	to, _ := ctx.Value(destinationKey{}).(destination)
	self, err := f.self()
	if err != nil {
		return nil, &notReachedError{err}
	}
	raw, err := f.dialer.DialContext(ctx, network, to.address)
	if err != nil {
		return nil, &notReachedError{err}
	}
	config := identity.TLSConfig(f.host.trust.Bundle, identity.Only(to.function))
	config.ServerName, config.NextProtos = to.name, []string{"h2"}
	config.Certificates = []tls.Certificate{*self.TLSCertificate()}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &notReachedError{fmt.Errorf("TLS with %s at %s: %w", to.name, to.address, err)}
	}
	return c, nil
}

// self returns the identity of a function of this host, which speaks for the host.
func (f *forwarder) self() (*identity.Identity, error) {
	for _, t := range f.host.running() {
		if self := t.identity.Current(); self.Certificate.CheckTime(time.Now()) == nil {
			return self, nil
		}
	}
	return nil, errors.New("this node runs no function with a valid certificate, so it cannot pass calls on")
}

// send passes a verified call on and the answer back. An error of code unavailable means that it was not executed.
func (f *forwarder) send(a *arrival, to *target) error {
	ctx, cancel := a.untilDeadline(forwardGrace)
	defer cancel()
	if to.Begin != nil {
		to.Begin()
	}
	response, err := f.transport.RoundTrip(f.request(ctx, a, to))
	failed := err != nil && a.r.Context().Err() == nil
	defer func() {
		if to.End != nil {
			to.End(failed)
		}
	}()
	if err != nil {
		return f.failure(ctx, a, to, err)
	}
	defer response.Body.Close()
	if refused := unavailable(response); refused != "" {
		failed = true
		return countersign.Errorf(countersign.CodeUnavailable, a.callee.Name(), "%s", refused)
	}
	f.learn(to.Allocation, response.Header)
	relay(a.w, response)
	return nil
}

// learn remembers whether an instance may execute a call twice, and takes what says so out of the answer.
func (f *forwarder) learn(allocation string, header http.Header) {
	idempotent := header.Get(idempotentHeader) == "?1"
	header.Del(idempotentHeader)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idempotent[allocation] == idempotent {
		return
	}
	if len(f.idempotent) >= maxIdempotent {
		clear(f.idempotent) // it is learned again with the next answer
	}
	f.idempotent[allocation] = idempotent
}

// mayRepeat tells whether an instance is known to be idempotent.
func (f *forwarder) mayRepeat(allocation string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.idempotent[allocation]
}

// request is the call as it came, with another address.
func (f *forwarder) request(ctx context.Context, a *arrival, to *target) *http.Request {
	name := to.Allocation + "." + a.callee.Name()
	ctx = context.WithValue(ctx, destinationKey{}, destination{to.Address, name, a.callee})
	u := *a.r.URL
	scheme := "http"
	if a.r.TLS != nil {
		scheme = "https"
	}
	// The host of the URL is what connections are kept by; Host is what the client wrote.
	u.Scheme, u.Host = "https", name
	header := a.r.Header.Clone()
	dropHopByHop(header)
	header.Set(forwardedHeader, scheme)
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "") // none, rather than net/http's
	}
	body := a.body
	r := &http.Request{Method: a.r.Method, URL: &u, Host: a.r.Host, Header: header, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// HTTP/2 uses it only if the other end says that it did not look at the first try.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	return r.WithContext(ctx)
}

// failure says what became of a call that was not answered.
func (f *forwarder) failure(ctx context.Context, a *arrival, to *target, err error) error {
	function := a.callee.Name()
	f.host.log.Warn("a call could not be passed on", "function", function, "allocation", to.Allocation, "address", to.Address,
		"error", err)
	var notReached *notReachedError
	switch {
	case errors.As(err, &notReached):
		return &countersign.CallError{Code: countersign.CodeUnavailable, Function: function, Err: err,
			Reason: "the node that runs it could not be reached"}
	case a.r.Context().Err() != nil:
		return countersign.Errorf(countersign.CodeCanceled, function, "the caller went away")
	case ctx.Err() != nil:
		return countersign.Errorf(countersign.CodeDeadline, function, "the deadline passed before the node that runs it answered")
	}
	broke := &countersign.CallError{Code: countersign.CodeInternal, Function: function, Err: err,
		Reason: "the connection to the node that runs it broke; the call may have been executed"}
	if f.mayRepeat(to.Allocation) {
		return &elsewhere{broke}
	}
	return broke
}

// unavailable returns the reason of a node that refused a call for want of an instance. Nobody signed that; a return
// that says the same is signed, and is the function's.
func unavailable(response *http.Response) string {
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Signature-Input") != "" {
		return ""
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, forwardProblem))
	var p problem
	if err != nil || json.Unmarshal(body, &p) != nil || p.Code != countersign.CodeUnavailable {
		return "the node that runs it answered 503"
	}
	return p.Detail
}

// relay writes an answer as it came.
func relay(w http.ResponseWriter, response *http.Response) {
	dropHopByHop(response.Header)
	for name, lines := range response.Header {
		w.Header()[name] = lines
	}
	setWriteDeadline(w)
	w.WriteHeader(response.StatusCode)
	if _, err := io.Copy(w, response.Body); err != nil {
		// What is missing must be seen to be missing.
		panic(http.ErrAbortHandler)
	}
}

// hopByHop are fields that belong to one connection (RFC 9110 section 7.6.1).
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func dropHopByHop(h http.Header) {
	for name := range h {
		if slices.Contains(hopByHop, name) {
			delete(h, name)
		}
	}
}
