package host

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"countersign"
	"countersign/host/control"
	"countersign/host/token"
)

// Limits of calls from outside, documented in docs/ingress.md.
const (
	maxHeaderBytes     = 16 << 10
	maxHeaderFields    = 64
	readHeaderTimeout  = 5 * time.Second
	readTimeout        = 30 * time.Second // of a whole request
	writeTimeout       = 30 * time.Second // of a whole answer
	idleTimeout        = 60 * time.Second
	maxStreams         = 256       // of one HTTP/2 connection
	maxBodies          = 512 << 20 // bytes of all request bodies at once
	defaultMaxCalls    = 1024
	pingAfter, pingFor = 15 * time.Second, 10 * time.Second // of an HTTP/2 connection that is silent
)

// ingress answers what comes to a host's port: calls from outside, health checks, and, by handing them on, the
// connections of other hosts.
type ingress struct {
	host   *Host
	mux    *http.ServeMux
	server *http.Server
	names  map[string]bool // authorities that signed calls may name; see isOwn

	tokens  *token.Verifier // nil: no issuer is trusted
	route   routeFunc
	forward *forwarder
	links   func(context.Context, *tls.Conn) // takes a connection of another host over; nil: none is accepted

	slots  chan struct{}       // a place for each call that is answered at a time
	bodies *semaphore.Weighted // bytes of request bodies in memory

	openTimeout                time.Duration // of a connection
	maxOpening, maxConnections int
}

// newIngress prepares to answer calls from outside. Nothing is asked over the network yet.
func newIngress(h *Host) (*ingress, error) {
	config := h.config.Ingress
	in := &ingress{host: h, mux: http.NewServeMux(), names: map[string]bool{}, route: h.routeIngress,
		bodies: semaphore.NewWeighted(maxBodies), openTimeout: openTimeout, maxOpening: maxOpening, maxConnections: maxConnections}
	if config.MaxCalls <= 0 {
		config.MaxCalls = defaultMaxCalls
	}
	in.slots = make(chan struct{}, config.MaxCalls)
	for _, name := range config.Names {
		in.names[strings.ToLower(name)] = true
	}
	if len(config.Issuers) > 0 {
		var issuers []token.Config
		for _, i := range config.Issuers {
			issuers = append(issuers, token.Config(i))
		}
		var err error
		if in.tokens, err = token.New(issuers); err != nil {
			return nil, fmt.Errorf("preparing to verify tokens: %w; mend `ingress.jwt` in the driver's plugin block", err)
		}
	}
	in.forward = newForwarder(h)
	in.links = in.serveLink
	h.verifier.Authority = in.isOwn
	in.mux.HandleFunc("POST /call/{function}", in.serveCall)
	in.mux.HandleFunc("/call/{function}", in.serveNoCall)
	in.mux.HandleFunc("/", in.serveNothing)
	in.mux.HandleFunc("GET /v1/health/{allocation}", in.serveHealth)
	in.mux.Handle("/v1/metrics", h.telemetry.Handler())
	in.server = in.newServer()
	return in, nil
}

func (in *ingress) newServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: http.HandlerFunc(in.serve), Protocols: protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingFor,
			WriteByteTimeout: writeTimeout},
		ErrorLog: slog.NewLogLogger(in.host.log.Handler(), slog.LevelDebug)}
}

// Serve answers what comes to l until Close, or until the host stops.
func (in *ingress) Serve(l net.Listener) error {
	in.addNames(l.Addr())
	g := in.newGate(l)
	defer g.Close()
	return in.server.Serve(g)
}

// Close ends all HTTP connections.
func (in *ingress) Close() error {
	in.forward.close()
	return in.server.Close()
}

// addNames makes the listener's address the host's own, and its port that of the names that have none.
func (in *ingress) addNames(a net.Addr) {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return
	}
	names := []string{host}
	for name := range in.names {
		if _, _, err := net.SplitHostPort(name); err != nil {
			names = append(names, strings.Trim(name, "[]"))
		}
	}
	for _, name := range names {
		in.names[net.JoinHostPort(name, port)] = true
	}
	if port == "80" || port == "443" { // left out of an authority
		in.names[strings.TrimSuffix(net.JoinHostPort(host, ""), ":")] = true
	}
}

// isOwn tells whether an authority that a call was signed for is this host.
func (in *ingress) isOwn(authority string) bool { return in.names[authority] }

// serve bounds how many fields a request may have, and lets the mux go on.
func (in *ingress) serve(w http.ResponseWriter, r *http.Request) {
	fields := 0
	for _, lines := range r.Header {
		fields += len(lines)
	}
	if fields > maxHeaderFields {
		in.refuseWith(w, r, http.StatusRequestHeaderFieldsTooLarge, countersign.Errorf(countersign.CodeTooLarge, "",
			"the request has %d header fields; at most %d are read", fields, maxHeaderFields))
		return
	}
	in.mux.ServeHTTP(w, r)
}

// serveNoCall answers a request to a function that is no call.
func (in *ingress) serveNoCall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", http.MethodPost)
	in.refuseWith(w, r, http.StatusMethodNotAllowed, countersign.Errorf(countersign.CodeBadRequest, r.PathValue("function"),
		"a function is called with POST, not %.16q", r.Method))
}

// serveNothing answers a request for what is not here.
func (in *ingress) serveNothing(w http.ResponseWriter, r *http.Request) {
	in.refuseWith(w, r, http.StatusNotFound, countersign.Errorf(countersign.CodeBadRequest, "",
		"nothing is here; a call is POST /call/<function>"))
}

// serveHealth answers 200 while the allocation can be called, for the check that its Nomad job registers in Consul.
func (in *ingress) serveHealth(w http.ResponseWriter, r *http.Request) {
	for _, s := range in.host.List() {
		if s.AllocID == r.PathValue("allocation") && s.State == control.Running {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]string{"function": s.Function, "artifact": s.Artifact, "state": "running"})
			return
		}
	}
	http.Error(w, "no such allocation runs here", http.StatusNotFound)
}

// setWriteDeadline gives a client writeTimeout to read the answer. A recorder of a test has no deadline to set.
func setWriteDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// allow takes one of the places for calls; the caller gives it back with release.
func (in *ingress) allow(function string) (release func(), err error) {
	select {
	case in.slots <- struct{}{}:
		return func() { <-in.slots }, nil
	default:
		return nil, countersign.Errorf(countersign.CodeOverloaded, function,
			"this node answers %s calls from outside at a time already; try again", strconv.Itoa(cap(in.slots)))
	}
}
