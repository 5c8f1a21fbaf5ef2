package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"countersign"
	"countersign/host/link"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/strictjson"
	"countersign/vaultsign/identity"
)

// idempotentHeader is in an answer to a forwarded call if the function's attested spec says that it is idempotent. It is
// between the two nodes, over TLS with the function's certificate, and goes no further.
const idempotentHeader = "Countersign-Idempotent"

// maxIdempotent bounds of how many instances a node remembers that they are idempotent.
const maxIdempotent = 1 << 14

const (
	forwardGrace   = 2 * time.Second // beyond the call's deadline, so that a return that says so gets through
	forwardIdle    = 60 * time.Second
	forwardHeader  = 64 << 10 // bytes of an answer's header
	forwardProblem = 16 << 10 // bytes of a refusal
)

// forwarder passes calls on to other hosts, over connections that it keeps: one for each instance that is called.
type forwarder struct {
	in        *Server
	dialer    net.Dialer
	transport *http.Transport

	mu         sync.Mutex
	idempotent map[string]bool // by allocation: as its host said
}

func newForwarder(in *Server) *forwarder {
	f := &forwarder{in: in, idempotent: map[string]bool{}}
	if ip := net.ParseIP(in.config.Bind); ip != nil && !ip.IsUnspecified() {
		f.dialer.LocalAddr = &net.TCPAddr{IP: ip}
	}
	f.transport = &http.Transport{DialTLSContext: f.dial, ForceAttemptHTTP2: true, DisableCompression: true,
		IdleConnTimeout: forwardIdle, MaxResponseHeaderBytes: forwardHeader,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingFor}}
	return f
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }

// destination is what dial has to know; it travels in the context of a request.
type destination struct {
	address, name string
	function      identity.ID
	timeout       time.Duration // to connect and to do the handshake
}

type destinationKey struct{}

// notReachedError says that there is no connection, so nothing was sent.
type notReachedError struct{ err error }

func (e *notReachedError) Error() string { return e.err.Error() }
func (e *notReachedError) Unwrap() error { return e.err }

// dial connects to the host of an instance. Both ends present call certificates, and the other end must be an instance
// of the function.
func (f *forwarder) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	to, _ := ctx.Value(destinationKey{}).(destination)
	ctx, cancel := context.WithTimeout(ctx, to.timeout)
	defer cancel()
	self, err := f.self()
	if err != nil {
		return nil, err
	}
	raw, err := f.dialer.DialContext(ctx, network, to.address)
	if err != nil {
		return nil, &notReachedError{err}
	}
	config := identity.TLSConfig(f.in.config.Trust, identity.Only(to.function))
	config.ServerName, config.NextProtos = to.name, []string{"h2"}
	config.Certificates = []tls.Certificate{*self.TLSCertificate()}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &notReachedError{fmt.Errorf("TLS with %s at %s: %w", to.name, to.address, err)}
	}
	return c, nil
}

var errNoCertificate = errors.New("this node runs no function with a valid certificate, so it cannot pass calls on")

// self returns the identity of a function of this host, which speaks for the host.
func (f *forwarder) self() (*identity.Identity, error) {
	for _, at := range f.in.node.Instances() {
		if self := at.Identity(); self.Certificate.CheckTime(time.Now()) == nil {
			return self, nil
		}
	}
	return nil, errNoCertificate
}

// send passes a verified call on and the answer back. Its errors are *retry.Failure.
func (f *forwarder) send(a *arrival, to retry.Target, limits *router.Policy) error {
	ctx, cancel := a.untilDeadline(forwardGrace)
	defer cancel()
	if ctx.Err() != nil { // after attempts at other instances; not this one's fault
		return f.failure(ctx, a, to, ctx.Err())
	}
	to.Begin()
	var failed *retry.Failure
	defer func() { f.in.retry.Settle(a.callee.Name(), to, failed) }()
	response, err := f.transport.RoundTrip(f.request(ctx, a, to, retry.ConnectTimeout(limits)))
	if err != nil {
		failed = f.failure(ctx, a, to, err)
		return failed
	}
	defer response.Body.Close()
	if refused := refusalIn(response); refused != nil {
		refused.Function = a.callee.Name()
		failed = &retry.Failure{Kind: retry.Refused, Err: refused}
		return failed
	}
	f.learn(to.Allocation, response.Header)
	answer := &watched{from: response.Body}
	if err := relay(a.w, response, answer); err != nil {
		if answer.err != nil {
			failed = f.failure(ctx, a, to, answer.err)
		}
		// What is missing must be seen to be missing.
		panic(http.ErrAbortHandler)
	}
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
func (f *forwarder) request(ctx context.Context, a *arrival, to retry.Target, connect time.Duration) *http.Request {
	name := link.ServerName(to.Allocation, a.callee.Name())
	ctx = context.WithValue(ctx, destinationKey{}, destination{to.Address, name, a.callee, connect})
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
func (f *forwarder) failure(ctx context.Context, a *arrival, to retry.Target, err error) *retry.Failure {
	function := a.callee.Name()
	f.in.log.Warn("a call could not be passed on", "function", function, "allocation", to.Allocation, "address", to.Address,
		"error", err)
	var notReached *notReachedError
	switch {
	case a.r.Context().Err() != nil:
		return &retry.Failure{Kind: retry.Canceled, Err: countersign.Errorf(countersign.CodeCanceled, function, "the caller went away")}
	case errors.Is(err, errNoCertificate):
		return &retry.Failure{Kind: retry.Withheld, Err: countersign.Errorf(countersign.CodeUnavailable, function, "%w", err)}
	case errors.As(err, &notReached):
		return &retry.Failure{Kind: retry.Unreachable, Err: &countersign.CallError{Code: countersign.CodeUnavailable,
			Function: function, Err: err, Reason: "the node that runs it could not be reached"}}
	case ctx.Err() != nil:
		return &retry.Failure{Kind: retry.Unanswered, Err: countersign.Errorf(countersign.CodeDeadline, function,
			"the deadline passed before the node that runs it answered")}
	}
	return &retry.Failure{Kind: retry.Lost, Idempotent: f.mayRepeat(to.Allocation), Err: &countersign.CallError{
		Code: countersign.CodeInternal, Function: function, Err: err,
		Reason: "the connection to the node that runs it broke; the call may have been executed"}}
}

// refusalIn returns why a node did not let an instance accept a call that was passed on to it, if another instance may
// take it. Nobody signed that; a return that says the same is signed, and is the function's.
func refusalIn(response *http.Response) *countersign.CallError {
	if response.Header.Get("Signature-Input") != "" {
		return nil
	}
	code := countersign.CodeUnavailable
	switch response.StatusCode {
	case problem.Status(code):
	case problem.Status(countersign.CodeOverloaded):
		code = countersign.CodeOverloaded
	case problem.Status(countersign.CodeInterfaceMismatch):
		code = countersign.CodeInterfaceMismatch
	default:
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, forwardProblem))
	var p problem.Document
	if err != nil || strictjson.DecodeOpen(body, &p) != nil || p.Code != code {
		p.Detail = fmt.Sprintf("the node that runs it answered %d", response.StatusCode)
	}
	return &countersign.CallError{Code: code, Reason: p.Detail}
}

// relay writes an answer as it came. body is the response's.
func relay(w http.ResponseWriter, response *http.Response, body io.Reader) error {
	dropHopByHop(response.Header)
	for name, lines := range response.Header {
		w.Header()[name] = lines
	}
	setWriteDeadline(w)
	w.WriteHeader(response.StatusCode)
	_, err := io.Copy(w, body)
	return err
}

// watched remembers that reading failed, which io.Copy does not tell from writing.
type watched struct {
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (r *watched) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
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
